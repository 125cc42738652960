// 16-bit numbers as planes of bytes for tiles, without the tiles' products themselves
// (amx_planes.h). Included after avx512_fixed.inl.

constexpr std::size_t kPlaneTile = 1024;  // bytes

// 16 rows of x as tiles: sixteen rows of four columns of every batch row.
static void plane_input(const float* x, std::size_t x_stride, std::size_t rows,
                        const float* inverse_scales, std::size_t count, std::size_t vector_size,
                        std::int8_t* values, float* scales) noexcept {
  const std::size_t steps = (count + kFixedBlock - 1) / kFixedBlock;
  alignas(64) float lines[2][kPlaneColumns / kFixedBlock][kLanes * kLanes];  // four bytes each
  for (std::size_t row = 0; row < kLanes; ++row) {
    alignas(64) float copy[kPlaneColumns];
    const float* from = copy;
    const float* factors = nullptr;
    if (row < rows && vector_size == 1 && count % kFixedBlock == 0) {
      from = x + row * x_stride;
      factors = inverse_scales;
    } else {
      const float* line = row < rows ? x + row * x_stride : x;
      for (std::size_t i = 0; i < steps * kFixedBlock; i += kFixedBlock) {
        const std::size_t left = row < rows ? smaller_size(kFixedBlock, count - i) : 0;
        read_block(line, inverse_scales, i, left, vector_size, copy + i);
      }
    }
    const auto load_columns = [&](std::size_t at) {
      const Vec v = load(from + at);
      return (__m512)(factors == nullptr ? v : v * load(factors + at));
    };
    Vec totals = {};
    Vec peaks = {};
    for (std::size_t i = 0; i < steps * kFixedBlock; i += kLanes) {
      const Vec magnitude = (Vec)_mm512_abs_ps(load_columns(i));
      totals += magnitude;
      peaks = larger(magnitude, peaks);
    }
    const float total = sum_lanes(totals);
    const float scale = total - total != 0.0F ? __builtin_nanf("")
                                              : largest_lane(peaks) * (1.0F / kLargestPlaneValue);
    scales[row] = scale;
    // Below 1e-37 the inverse would not be finite.
    const __m512 inverse = (__m512)broadcast(scale >= 1e-37F ? 1.0F / scale : 0.0F);
    const __m512i half = _mm512_set1_epi16(128);
    for (std::size_t step = 0; step < steps; ++step) {
      // Packing leaves columns 16 j + 4 i .. + 3 in the four bytes 4 i + j.
      __m512i words[2];
      for (int i = 0; i < 2; ++i) {
        const std::size_t at = step * kFixedBlock + static_cast<std::size_t>(i) * 32;
        words[i] =
            _mm512_packs_epi32(_mm512_cvtps_epi32(_mm512_mul_ps(load_columns(at), inverse)),
                               _mm512_cvtps_epi32(_mm512_mul_ps(load_columns(at + 16), inverse)));
      }
      __m512i high[2];
      __m512i low[2];
      for (int i = 0; i < 2; ++i) {
        high[i] = _mm512_srai_epi16(_mm512_add_epi16(words[i], half), 8);
        low[i] = _mm512_sub_epi16(words[i], _mm512_slli_epi16(high[i], 8));
      }
      store(lines[0][step] + row * kLanes, (Vec)_mm512_packs_epi16(high[0], high[1]));
      store(lines[1][step] + row * kLanes, (Vec)_mm512_packs_epi16(low[0], low[1]));
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
  const Lookup lookup(table);
  for (std::size_t done = 0; done < count; done += kFixedBlock) {
    for (std::size_t r = 0; r < kPanelRows; ++r) {
      __m512i planes[2] = {};
      if (r < rows) lookup.decode_planes(indices + r * index_stride + done, count - done, planes);
      std::int8_t* to = panel + r / 16 * 2 * kPlaneTile + r % 16 * 64;
      store(to, (Vec)planes[0]);
      store(to + kPlaneTile, (Vec)planes[1]);
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
