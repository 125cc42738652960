// F32 matrix products: row by row for small batches, panels for large ones. Included after
// lanes.inl; needs transpose(const float* in, in_stride, float* out, out_stride) of kLanes x kLanes
// and constants kTileBatch, kTileVectors.
//
// A panel holds kPanelRows = 2 * kLanes rows of weights step by step, so that a tile of
// kTileBatch x kPanelRows sums stays in registers: per step two loads of weights and one broadcast
// of x for every batch row.

constexpr std::size_t kPanelRows = 2 * kLanes;

// Rows [begin, begin + count * kRows): `count` times kRows rows that lie `count` rows apart. Two
// streams at once keep more of the memory's latency under way than one.
template <WeightType kType, int kRows, int kBatch>
static void f32_rows_of(const WeightRows& weights, std::size_t begin, std::size_t count,
                        const float* x, float* y, std::size_t y_stride) {
  constexpr std::size_t kBytes = weight_bytes<kType>();
  const std::size_t columns = weights.columns;
  for (std::size_t row = begin; row < begin + count; ++row) {
    const std::byte* from = weights.data + row * columns * kBytes;
    const std::size_t apart = count * columns * kBytes;
    Vec sums[kRows][kBatch][2] = {};
    std::size_t i = 0;
    for (; i + 2 * kLanes <= columns; i += 2 * kLanes) {
      for (int r = 0; r < kRows; ++r) {
        const std::byte* at = from + static_cast<std::size_t>(r) * apart + i * kBytes;
        prefetch_row(at);
        if constexpr (kType == WeightType::kF32) prefetch_row(at + kLanes * kBytes);
        const Vec first = load_weights<kType>(at);
        const Vec second = load_weights<kType>(at + kLanes * kBytes);
        for (int n = 0; n < kBatch; ++n) {
          sums[r][n][0] += first * load(x + n * columns + i);
          sums[r][n][1] += second * load(x + n * columns + i + kLanes);
        }
      }
    }
    for (int r = 0; r < kRows; ++r) {
      for (int n = 0; n < kBatch; ++n) {
        float sum = sum_lanes(sums[r][n][0] + sums[r][n][1]);
        for (std::size_t j = i; j < columns; ++j) {
          const std::byte* at = from + static_cast<std::size_t>(r) * apart + j * kBytes;
          sum += load_weight<kType>(at) * x[n * columns + j];
        }
        y[n * y_stride + row + static_cast<std::size_t>(r) * count] = sum;
      }
    }
  }
}

template <WeightType kType>
static void f32_rows_typed(const WeightRows& weights, std::size_t begin, std::size_t end,
                           const float* x, std::size_t batch, float* y, std::size_t y_stride) {
  std::size_t n = 0;
  const auto advance = [&]<int kRows, int kBatch>() {
    const std::size_t count = (end - begin) / kRows;
    for (; n + kBatch <= batch; n += kBatch) {
      const float* from = x + n * weights.columns;
      float* to = y + n * y_stride;
      f32_rows_of<kType, kRows, kBatch>(weights, begin, count, from, to, y_stride);
      if (begin + count * kRows < end) {
        f32_rows_of<kType, 1, kBatch>(weights, end - 1, 1, from, to, y_stride);
      }
    }
  };
  advance.template operator()<1, 4>();
  advance.template operator()<1, 3>();
  advance.template operator()<2, 2>();
  advance.template operator()<2, 1>();
}

static void f32_rows(const WeightRows& weights, std::size_t begin, std::size_t end, const float* x,
                     std::size_t batch, float* y, std::size_t y_stride) noexcept {
  with_type(weights.type, [&]<WeightType kType>() {
    f32_rows_typed<kType>(weights, begin, end, x, batch, y, y_stride);
  });
}

// kLanes columns of one row as floats; columns past the end are zero.
template <WeightType kType>
static inline Vec load_columns(const std::byte* row, std::size_t begin, std::size_t end) {
  constexpr std::size_t kBytes = weight_bytes<kType>();
  if (begin + kLanes <= end) return load_weights<kType>(row + begin * kBytes);
  if (begin >= end) return Vec{};
  alignas(64) std::byte part[kLanes * 4] = {};
  __builtin_memcpy(part, row + begin * kBytes, (end - begin) * kBytes);
  return load_weights<kType>(part);
}

template <WeightType kType>
static void f32_panel_of(const WeightRows& weights, std::size_t row, std::size_t rows,
                         std::size_t begin, std::size_t count, float* panel) {
  const std::size_t row_bytes = weights.columns * weight_bytes<kType>();
  float square[kLanes * kLanes];
  for (std::size_t column = begin; column < begin + count; column += kLanes) {
    for (std::size_t first = 0; first < kPanelRows; first += kLanes) {
      for (std::size_t r = 0; r < kLanes; ++r) {
        const std::byte* from = weights.data + (row + first + r) * row_bytes;
        const Vec v = first + r < rows ? load_columns<kType>(from, column, begin + count) : Vec{};
        store(square + r * kLanes, v);
      }
      transpose(square, kLanes, panel + (column - begin) * kPanelRows + first, kPanelRows);
    }
  }
}

static void f32_panel(const WeightRows& weights, std::size_t row, std::size_t rows,
                      std::size_t begin, std::size_t count, float* panel) noexcept {
  with_type(weights.type, [&]<WeightType kType>() {
    f32_panel_of<kType>(weights, row, rows, begin, count, panel);
  });
}

// tile (kBatch, kPanelRows) with rows `tile_stride` apart += x * panel, steps `panel_stride` apart.
template <int kBatch>
static inline void f32_tile(const float* panel, std::size_t panel_stride, std::size_t steps,
                            const float* x, std::size_t x_stride, float* tile,
                            std::size_t tile_stride) {
  Vec first[kBatch];
  Vec second[kBatch];
  for (int n = 0; n < kBatch; ++n) {
    first[n] = load(tile + n * tile_stride);
    second[n] = load(tile + n * tile_stride + kLanes);
  }
  for (std::size_t step = 0; step < steps; ++step) {
    const Vec w0 = load(panel + step * panel_stride);
    const Vec w1 = load(panel + step * panel_stride + kLanes);
    for (int n = 0; n < kBatch; ++n) {
      const Vec v = broadcast(x[n * x_stride + step]);
      first[n] += w0 * v;
      second[n] += w1 * v;
    }
  }
  for (int n = 0; n < kBatch; ++n) {
    store(tile + n * tile_stride, first[n]);
    store(tile + n * tile_stride + kLanes, second[n]);
  }
}

static void f32_tiles(const float* panel, std::size_t panel_stride, std::size_t steps,
                      const float* x, std::size_t x_stride, std::size_t batch, float* tile,
                      std::size_t tile_stride) {
  std::size_t n = 0;
  for (; n + kTileBatch <= batch; n += kTileBatch) {
    f32_tile<kTileBatch>(panel, panel_stride, steps, x + n * x_stride, x_stride,
                         tile + n * tile_stride, tile_stride);
  }
  for (; n + 2 <= batch; n += 2) {
    f32_tile<2>(panel, panel_stride, steps, x + n * x_stride, x_stride, tile + n * tile_stride,
                tile_stride);
  }
  if (n < batch) {
    f32_tile<1>(panel, panel_stride, steps, x + n * x_stride, x_stride, tile + n * tile_stride,
                tile_stride);
  }
}

static void f32_multiply(const float* panel, std::size_t steps, const float* x,
                         std::size_t x_stride, std::size_t batch, float* tile) noexcept {
  f32_tiles(panel, kPanelRows, steps, x, x_stride, batch, tile, kPanelRows);
}

// One load after the other: faster than the gathers that compilers make of the plain loop.
static void lookup_u8(const float* table, const std::uint8_t* indices, std::size_t count,
                      float* out) noexcept {
  std::size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    std::uint64_t eight;
    __builtin_memcpy(&eight, indices + i, sizeof(eight));
    unroll<8>([&]<int k>() { out[i + k] = table[(eight >> (8 * k)) & 0xff]; });
  }
  for (; i < count; ++i) out[i] = table[indices[i]];
}

static void lookup_u16(const float* table, const std::uint16_t* indices, std::size_t count,
                       float* out) noexcept {
  for (std::size_t i = 0; i < count; ++i) out[i] = table[indices[i]];
}
