// 16-bit numbers as planes of bytes for tiles, without the tiles' products themselves
// (amx_planes.h). Included after avx512_bytes.inl.

constexpr std::size_t kPlaneTile = 1024;  // bytes

// 16 rows of x as tiles: sixteen rows of four columns of every batch row.
static void plane_input(const float* x, std::size_t x_stride, std::size_t rows,
                        const float* inverse_scales, std::size_t count, std::size_t vector_size,
                        std::int8_t* values, float* scales) noexcept {
  const std::size_t steps = (count + kFixedBlock - 1) / kFixedBlock;
  alignas(64) float lines[2][kPlaneColumns / kFixedBlock][kLanes * kLanes];  // four bytes each
  for (std::size_t row = 0; row < kLanes; ++row) {
    const std::size_t there = row < rows ? count : 0;
    const ByteColumns<kPlaneColumns> columns(row < rows ? x + row * x_stride : x, inverse_scales,
                                             there, steps, vector_size);
    scales[row] = columns.scale();
    for (std::size_t step = 0; step < steps; ++step) {
      __m512i high;
      __m512i low;
      columns.cut(step, high, low);
      store(lines[0][step] + row * kLanes, (Vec)high);
      store(lines[1][step] + row * kLanes, (Vec)low);
    }
  }
  for (std::size_t step = 0; step < steps; ++step) {
    for (int plane = 0; plane < 2; ++plane, values += kPlaneTile) {
      alignas(64) float turned[kLanes * kLanes];
      transpose(lines[plane][step], kLanes, turned, kLanes);
      for (std::size_t i = 0; i < kLanes; ++i) {
        store(values + (i % 4 * 4 + i / 4) * 64, load(turned + i * kLanes));
      }
    }
  }
}

static void plane_panel(const FixedTable& table, const std::uint8_t* indices,
                        std::size_t index_stride, std::size_t rows, std::size_t count,
                        std::int8_t* panel) noexcept {
  const ByteLookup<false> lookup(table, 0);
  for (std::size_t done = 0; done < count; done += kFixedBlock) {
    for (std::size_t r = 0; r < kPanelRows; ++r) {
      __m512i high = {};
      __m512i low = {};
      if (r < rows) lookup.decode(indices + r * index_stride + done, count - done, high, low);
      std::int8_t* to = panel + r / 16 * 2 * kPlaneTile + r % 16 * 64;
      store(to, (Vec)high);
      store(to + kPlaneTile, (Vec)low);
    }
    panel += 4 * kPlaneTile;
  }
}

static void plane_store(const float* sums, std::size_t rows, std::size_t batch, float* y,
                        std::size_t y_stride) noexcept {
  for (std::size_t r = 0; r < rows; r += kLanes) {
    const float* from = sums + r * kLanes;
    if (batch == kLanes && rows - r >= kLanes) {
      transpose(from, kLanes, y + r, y_stride);
      continue;
    }
    for (std::size_t i = 0; i < batch; ++i) {
      for (std::size_t j = 0; j < smaller_size(kLanes, rows - r); ++j) {
        y[i * y_stride + r + j] = from[j * kLanes + i];
      }
    }
  }
}
