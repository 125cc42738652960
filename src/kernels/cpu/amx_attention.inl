// Attention as in attention_block.inl with its products by BF16 tiles, every number as two of BF16
// (amx_split.h). Included after avx512_vbmi.inl; needs HardwareTiles.

constexpr std::size_t kLeastTileRows = 16;  // fewer are left to F32

// Two vectors of floats as a row of 32 BF16 numbers, rounded, and what that leaves.
struct SplitRow {
  __m512i rounded;
  __m512i rest;
};

static inline SplitRow split(Vec first, Vec second) {
  const auto rounded = (__m512i)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first);
  const __m512i low = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(rounded));
  const __m512i high = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(rounded, 1));
  const Vec first_rest = first - (Vec)_mm512_slli_epi32(low, 16);
  const Vec second_rest = second - (Vec)_mm512_slli_epi32(high, 16);
  return {rounded, (__m512i)_mm512_cvtne2ps_pbh((__m512)second_rest, (__m512)first_rest)};
}

// Row `row` of a left operand (2 planes, blocks, chunks, 16, 32).
static inline void store_left(SplitRow numbers, std::size_t row, std::size_t blocks,
                              std::size_t chunks, std::size_t chunk, std::uint16_t* left) {
  std::uint16_t* to = left + ((row / 16 * chunks + chunk) * 16 + row % 16) * 32;
  store(to, (Vec)numbers.rounded);
  store(to + blocks * chunks * 512, (Vec)numbers.rest);
}

// 16 positions of 32 dimensions: pairs of dimensions become rows.
template <WeightType kType>
static void load_keys(const AttentionTask& task, std::size_t begin, std::size_t count,
                      std::size_t chunks, std::uint16_t* right) {
  constexpr std::size_t kBytes = weight_bytes<kType>();
  const std::size_t plane = kAttentionTile / 16 * chunks * 512;
  for (std::size_t block = 0; block < kAttentionTile / 16; ++block) {
    for (std::size_t chunk = 0; chunk < chunks; ++chunk) {
      alignas(64) float squares[2][256];
      for (std::size_t p = 0; p < 16; ++p) {
        SplitRow numbers = {};
        if (block * 16 + p < count) {
          const std::byte* row = task.keys + (begin + block * 16 + p) * task.head_dim * kBytes;
          numbers = split(load_columns<kType>(row, chunk * 32, task.head_dim),
                          load_columns<kType>(row, chunk * 32 + 16, task.head_dim));
        }
        store(squares[0] + p * 16, (Vec)numbers.rounded);
        store(squares[1] + p * 16, (Vec)numbers.rest);
      }
      auto* to = reinterpret_cast<float*>(right + (block * chunks + chunk) * 512);
      transpose(squares[0], 16, to, 16);
      if (kType != WeightType::kBF16) transpose(squares[1], 16, to + plane / 2, 16);
    }
  }
}

// Pairs of positions become rows of 16 dimensions.
template <WeightType kType>
static void load_values(const AttentionTask& task, std::size_t begin, std::size_t count,
                        std::size_t blocks, std::uint16_t* right) {
  constexpr std::size_t kBytes = weight_bytes<kType>();
  constexpr std::size_t kChunks = kAttentionTile / 32;
  const __m512i interleave =
      _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                       21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  for (std::size_t p = 0; p < kAttentionTile; p += 2) {
    const std::byte* row = task.values + (begin + p) * task.head_dim * kBytes;
    for (std::size_t block = 0; block < blocks; ++block) {
      Vec pair[2] = {};
      for (std::size_t i = 0; i < 2; ++i) {
        if (p + i >= count) continue;
        pair[i] = load_columns<kType>(row + i * task.head_dim * kBytes, block * 16, task.head_dim);
      }
      const SplitRow numbers = split(pair[0], pair[1]);
      std::uint16_t* to = right + ((block * kChunks + p / 32) * 16 + p % 32 / 2) * 32;
      store(to, (Vec)_mm512_permutexvar_epi16(interleave, numbers.rounded));
      if (kType == WeightType::kBF16) continue;
      store(to + blocks * kChunks * 512, (Vec)_mm512_permutexvar_epi16(interleave, numbers.rest));
    }
  }
}

template <WeightType kType>
static void tile_attention_of(const AttentionTask& task) {
  constexpr bool kExact = kType == WeightType::kBF16;
  constexpr std::size_t kTileChunks = kAttentionTile / 32;
  const std::size_t padded = (task.head_dim + 31) / 32 * 32;
  const std::size_t chunks = padded / 32;
  const std::size_t rows = (task.rows + 31) / 32 * 32;
  const std::size_t blocks = rows / 16;
  // All as large as floats are: two planes of 16 bits.
  float* memory = task.scratch;
  const auto take = [&](std::size_t count) {
    float* part = memory;
    memory += count;
    return part;
  };
  auto* queries = reinterpret_cast<std::uint16_t*>(take(kAttentionRows * padded));
  auto* keys = reinterpret_cast<std::uint16_t*>(take(kAttentionTile * padded));
  auto* values = reinterpret_cast<std::uint16_t*>(take(kAttentionTile * padded));
  auto* weights = reinterpret_cast<std::uint16_t*>(take(kAttentionRows * kAttentionTile));
  float* sums = take(kAttentionRows * padded);
  float* scores = take(kAttentionRows * kAttentionTile);
  for (std::size_t row = 0; row < rows; ++row) {
    const auto* from = reinterpret_cast<const std::byte*>(
        task.queries + task.query_offset[row < task.rows ? row : 0]);
    for (std::size_t chunk = 0; chunk < chunks; ++chunk) {
      store_left(split(load_columns<WeightType::kF32>(from, chunk * 32, task.head_dim),
                       load_columns<WeightType::kF32>(from, chunk * 32 + 16, task.head_dim)),
                 row, blocks, chunks, chunk, queries);
    }
    task.maxima[row] = -__builtin_inff();
    task.totals[row] = 0.0F;
  }
  __builtin_memset(sums, 0, rows * padded * sizeof(float));
  HardwareTiles::begin();
  for (std::size_t begin = task.position_begin; begin < task.position_end;
       begin += kAttentionTile) {
    const std::size_t count = smaller_size(kAttentionTile, task.position_end - begin);
    load_keys<kType>(task, begin, count, chunks, keys);
    load_values<kType>(task, begin, count, padded / 16, values);
    AmxSplit<HardwareTiles>::multiply(queries, blocks, keys, kAttentionTile / 16, kExact, chunks,
                                      false, scores, kAttentionTile);
    for (std::size_t row = 0; row < rows; ++row) {
      float* from = scores + row * kAttentionTile;
      if (row < task.rows) {
        const float factor = weigh(task, row, begin, count, from);
        for (std::size_t i = 0; i < padded && factor != 1.0F; i += kLanes) {
          store(sums + row * padded + i, load(sums + row * padded + i) * factor);
        }
      }
      for (std::size_t chunk = 0; chunk < kTileChunks; ++chunk) {
        store_left(split(load(from + chunk * 32), load(from + chunk * 32 + 16)), row, blocks,
                   kTileChunks, chunk, weights);
      }
    }
    AmxSplit<HardwareTiles>::multiply(weights, blocks, values, padded / 16, kExact, kTileChunks,
                                      true, sums, padded);
  }
  HardwareTiles::end();
  for (std::size_t row = 0; row < task.rows; ++row) {
    const float inverse = 1.0F / task.totals[row];
    float* to = task.out + task.out_offset[row];
    for (std::size_t i = 0; i < task.head_dim; ++i) to[i] = sums[row * padded + i] * inverse;
  }
}

static void tile_attention(const AttentionTask& task) noexcept {
  if (task.rows < kLeastTileRows) return attention(task);
  switch (task.type) {
    case WeightType::kF32: return tile_attention_of<WeightType::kF32>(task);
    case WeightType::kF16: return tile_attention_of<WeightType::kF16>(task);
    case WeightType::kBF16: return tile_attention_of<WeightType::kBF16>(task);
  }
}
