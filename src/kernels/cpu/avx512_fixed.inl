// Codebook rows and panels in 16-bit fixed point for the AVX-512 files. Included after
// fixed_products.inl; needs Lookup with Lookup(table) and decode(from, count, values): 64 indices
// (those past `count` as any valid index) to 2 x 32 values in kColumnOrder.

template <int kBatch>
static void fixed_rows_of(const Lookup& lookup, float table_scale, const std::uint8_t* indices,
                          std::size_t index_columns, std::size_t begin, std::size_t end,
                          const FixedInput& x, std::size_t first, bool accumulate, float* y,
                          std::size_t y_stride) {
  for (std::size_t row = begin; row < end; ++row) {
    const std::uint8_t* from = indices + row * index_columns;
    Vec sums[kBatch] = {};
    for (std::size_t block = 0; block < x.blocks; ++block) {
      __m512i w[2];
      const std::size_t done = block * kFixedBlock;
      // Hardware prefetching stops at every page.
      _mm_prefetch(reinterpret_cast<const char*>(from + done + 1024), _MM_HINT_T0);
      lookup.decode(from + done, index_columns - done, w);
      for (int n = 0; n < kBatch; ++n) {
        const std::size_t at = block * x.batch + first + n;
        const std::int16_t* v = x.values + at * kFixedBlock;
        IntAcc sum = _mm512_madd_epi16(w[0], load_pairs(v));
        sum = dot(sum, w[1], load_pairs(v + 32));
        sums[n] += to_floats(sum) * broadcast(x.scales[at]);
      }
    }
    for (int n = 0; n < kBatch; ++n) {
      float* to = y + (first + n) * y_stride + row;
      const float product = sum_lanes(sums[n]) * table_scale;
      *to = accumulate ? *to + product : product;
    }
  }
}

static void fixed_rows(const FixedTable& table, const std::uint8_t* indices,
                       std::size_t index_columns, std::size_t begin, std::size_t end,
                       const FixedInput& x, bool accumulate, float* y,
                       std::size_t y_stride) noexcept {
  const Lookup lookup(table);
  std::size_t n = 0;
  const auto advance = [&](auto rows_of, std::size_t batch) {
    for (; n + batch <= x.batch; n += batch) {
      rows_of(lookup, table.scale, indices, index_columns, begin, end, x, n, accumulate, y,
              y_stride);
    }
  };
  advance(fixed_rows_of<8>, 8);
  advance(fixed_rows_of<4>, 4);
  advance(fixed_rows_of<2>, 2);
  advance(fixed_rows_of<1>, 1);
}

static void fixed_panel(const FixedTable& table, const std::uint8_t* indices,
                        std::size_t index_columns, std::size_t row, std::size_t rows,
                        std::uint16_t* panel) noexcept {
  const Lookup lookup(table);
  for (std::size_t done = 0; done < index_columns; done += kFixedBlock) {
    alignas(64) float squares[2][kLanes * kLanes];  // pairs of 16-bit values
    for (std::size_t first = 0; first < kPanelRows; first += kLanes) {
      for (std::size_t r = 0; r < kLanes; ++r) {
        __m512i w[2] = {};
        if (first + r < rows) {
          const std::uint8_t* from = indices + (row + first + r) * index_columns + done;
          lookup.decode(from, index_columns - done, w);
        }
        for (std::size_t i = 0; i < 2; ++i) store(squares[i] + r * kLanes, (Vec)w[i]);
      }
      auto* to = reinterpret_cast<float*>(panel) + done / 2 * kPanelRows + first;
      for (std::size_t i = 0; i < 2; ++i) {
        transpose(squares[i], kLanes, to + i * kLanes * kPanelRows, kPanelRows);
      }
    }
  }
}
