// One row of x times rows of codes, both in bytes: weight = byte_step * high + low, x = 256 * high +
// low. Of the four products vpdpbusd makes the three that count (amx_planes.h says why low * low
// does not) straight from what is looked up: nothing is unpacked, and high bytes that two entries
// share (kPairs) take half the lookups. vpdpbusd wants bytes without a sign on one side: weights are
// taken 128 above what they are, and sums start below zero by what that makes too much.
//
// Included after avx512_fixed.inl, whose remark on two streams holds here too; needs Indices.

// Up to kColumns columns of x, scaled, and their scale in 16 bits.
template <std::size_t kColumns>
class ByteColumns {
 public:
  // Every `vector_size`-th of x times inverse_scales (or null); zero from `count` to the end of
  // `blocks` blocks. Borrows both.
  ByteColumns(const float* x, const float* inverse_scales, std::size_t count, std::size_t blocks,
              std::size_t vector_size)
      : from_(x), factors_(inverse_scales) {
    if (vector_size != 1 || count != blocks * kFixedBlock) {
      for (std::size_t i = 0; i < blocks * kFixedBlock; i += kFixedBlock) {
        const std::size_t left = i < count ? smaller_size(kFixedBlock, count - i) : 0;
        read_block(x, inverse_scales, i, left, vector_size, copy_ + i);
      }
      from_ = copy_;
      factors_ = nullptr;
    }
    Vec totals = {};
    Vec peaks = {};
    for (std::size_t i = 0; i < blocks * kFixedBlock; i += kLanes) {
      const Vec magnitude = (Vec)_mm512_abs_ps((__m512)columns(i));
      totals += magnitude;
      peaks = larger(magnitude, peaks);
    }
    const float total = sum_lanes(totals);
    // The largest is 127 * 256, so that a number alone is not cut.
    scale_ =
        total - total != 0.0F ? __builtin_nanf("") : largest_lane(peaks) * (1.0F / (127 * 256));
    // Below 1e-37 the inverse would not be finite.
    inverse_ = scale_ >= 1e-37F ? 1.0F / scale_ : 0.0F;
  }
  // `from_` may point into the object.
  ByteColumns(const ByteColumns&) = delete;
  ByteColumns& operator=(const ByteColumns&) = delete;

  float scale() const { return scale_; }

  // The bytes of block `number`. Packing leaves columns 16 j + 4 i .. + 3 in the four bytes 4 i + j.
  void cut(std::size_t number, __m512i& high, __m512i& low) const {
    __m512i highs[2];
    __m512i lows[2];
    for (std::size_t i = 0; i < 2; ++i) {
      const std::size_t at = number * kFixedBlock + i * 32;
      const __m512i words = _mm512_packs_epi32(whole(at), whole(at + 16));
      highs[i] = _mm512_srai_epi16(_mm512_add_epi16(words, _mm512_set1_epi16(128)), 8);
      lows[i] = _mm512_sub_epi16(words, _mm512_slli_epi16(highs[i], 8));
    }
    high = _mm512_packs_epi16(highs[0], highs[1]);
    low = _mm512_packs_epi16(lows[0], lows[1]);
  }

 private:
  Vec columns(std::size_t at) const {
    const Vec v = load(from_ + at);
    return factors_ == nullptr ? v : v * load(factors_ + at);
  }
  __m512i whole(std::size_t at) const {
    return _mm512_cvtps_epi32((__m512)(columns(at) * broadcast(inverse_)));
  }

  alignas(64) float copy_[kColumns];
  const float* from_;
  const float* factors_;
  float scale_;
  float inverse_;
};

template <bool kPairs>
class ByteLookup {
 public:
  // The bytes come with the bits of `flip` turned over: 0x80 makes them 128 more, without a sign.
  ByteLookup(const FixedTable& table, std::uint8_t flip) {
    const __m512i bits = _mm512_set1_epi8(static_cast<char>(flip));
    load_plane(table.high_byte, high_);
    load_plane(table.low_byte, low_);
    for (__m512i& plane : high_) plane = _mm512_xor_si512(plane, bits);
    for (__m512i& plane : low_) plane = _mm512_xor_si512(plane, bits);
  }

  [[gnu::always_inline]] void decode(const std::uint8_t* from, std::size_t count, __m512i& high,
                                     __m512i& low) const {
    const Indices indices(from, count);
    high = indices.in(high_);
    low = indices.in(low_);
  }

 private:
  __m512i high_[kPairs ? 2 : 4];
  __m512i low_[4];
};

// In assembly as dot(). Lane i += the products of its four bytes, those of `left` without a sign.
static inline IntAcc byte_dot(IntAcc sum, IntAcc left, IntAcc right) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(left), "v"(right));
  return sum;
}

static void byte_input(const float* x, const float* inverse_scales, std::size_t index_columns,
                       std::size_t vector_size, std::int8_t* values, float* scales) noexcept {
  constexpr std::size_t kColumns = kByteGroup * kFixedBlock;
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i above = _mm512_set1_epi8(static_cast<char>(128));
  for (std::size_t begin = 0; begin < index_columns; begin += kColumns, ++scales) {
    const std::size_t offset = begin * vector_size;
    const std::size_t count = smaller_size(kColumns, index_columns - begin);
    const std::size_t blocks = (count + kFixedBlock - 1) / kFixedBlock;
    const ByteColumns<kColumns> columns(
        x + offset, inverse_scales == nullptr ? nullptr : inverse_scales + offset, count, blocks,
        vector_size);
    *scales = columns.scale();
    std::int8_t* starts = values;
    IntAcc sums[2] = {zero_sum(), zero_sum()};
    for (std::size_t block = 0; block < blocks; ++block) {
      values += 2 * kFixedBlock;
      __m512i planes[2];
      columns.cut(block, planes[0], planes[1]);
      for (int i = 0; i < 2; ++i) {
        const __m512i ordered = _mm512_permutexvar_epi32(order, planes[i]);
        sums[i] = byte_dot(sums[i], above, ordered);
        _mm512_storeu_si512(values + i * kFixedBlock, ordered);
      }
    }
    values += 2 * kFixedBlock;
    for (int i = 0; i < 2; ++i) {
      _mm512_storeu_si512(starts + i * kFixedBlock, _mm512_sub_epi32(zero_sum(), sums[i]));
    }
  }
}

// Adds the products of one block for kRows rows `apart` bytes from each other: high times high, high
// times low, low times high.
template <int kRows, bool kPairs>
static inline void add_byte_block(const ByteLookup<kPairs>& lookup, const std::uint8_t* indices,
                                  std::size_t apart, std::size_t count, const std::int8_t* x,
                                  IntAcc (&sums)[kRows][3]) {
  const IntAcc x_high = loaded_once(load_pairs(x));
  const IntAcc x_low = loaded_once(load_pairs(x + kFixedBlock));
  unroll<kRows>([&]<int r>() {
    const std::uint8_t* from = indices + static_cast<std::size_t>(r) * apart;
    prefetch_row(from);
    IntAcc high;
    IntAcc low;
    lookup.decode(from, count, high, low);
    sums[r][0] = byte_dot(sums[r][0], high, x_high);
    sums[r][1] = byte_dot(sums[r][1], high, x_low);
    sums[r][2] = byte_dot(sums[r][2], low, x_high);
  });
}

// Rows [begin, begin + count * kRows): `count` times kRows rows that lie `count` rows apart.
template <int kRows, bool kPairs>
static void byte_rows_of(const RowTask<ByteInput>& task, std::size_t begin, std::size_t count) {
  const ByteLookup<kPairs> lookup(task.table, 0x80);
  const Vec step = broadcast(static_cast<float>(task.table.byte_step));
  const std::size_t apart = count * task.index_columns;
  for (std::size_t row = begin; row < begin + count; ++row) {
    const std::uint8_t* from = task.indices + row * task.index_columns;
    const std::int8_t* values = task.x.values;
    const float* scales = task.x.scales;
    Vec totals[kRows][3] = {};
    for (std::size_t left = task.index_columns; left > 0;) {
      IntAcc sums[kRows][3];
      unroll<kRows>([&]<int r>() {
        sums[r][0] = sums[r][2] = load_pairs(values);
        sums[r][1] = load_pairs(values + kFixedBlock);
      });
      values += 2 * kFixedBlock;
      std::size_t group = smaller_size(left, kByteGroup * kFixedBlock);
      left -= group;
      for (; group >= kFixedBlock; group -= kFixedBlock) {
        add_byte_block(lookup, from, apart, kFixedBlock, values, sums);
        from += kFixedBlock;
        values += 2 * kFixedBlock;
      }
      if (group > 0) add_byte_block(lookup, from, apart, group, values, sums);
      const Vec scale = broadcast(*scales++);
      unroll<kRows * 3>([&]<int i>() { totals[i / 3][i % 3] += to_floats(sums[i / 3][i % 3]) * scale; });
    }
    unroll<kRows>([&]<int r>() {
      const Vec(&total)[3] = totals[r];
      const Vec sum = (total[0] * step + total[2]) * broadcast(256.0F) + total[1] * step;
      const float product = sum_lanes(sum) * task.table.scale;
      float* to = task.y + row + r * count;
      *to = task.accumulate ? *to + product : product;
    });
  }
}

static void byte_rows(const RowTask<ByteInput>& task, std::size_t begin, std::size_t end) noexcept {
  const std::size_t pairs = (end - begin) / 2;
  const auto rows = [&]<bool kPairs>() {
    byte_rows_of<2, kPairs>(task, begin, pairs);
    if (begin + 2 * pairs < end) byte_rows_of<1, kPairs>(task, end - 1, 1);
  };
  if (task.table.form == TableForm::kPairs) {
    rows.template operator()<true>();
  } else {
    rows.template operator()<false>();
  }
}
