// Codebook rows and panels in 16-bit fixed point for the AVX-512 files. Included after
// fixed_products.inl; needs Lookup with Lookup(table) and decode(from, count, values): 64 indices
// (those past `count` as any valid index) to 2 x 32 values in kColumnOrder.
//
// Rows of batch 1 read two streams at once, half of the rows apart, because one stream does not
// fill what a core can have under way; neighbouring rows would share pages, which confuses the
// prefetchers (measured on Zen 4: 7 GB/s, where halves apart give 23.5, one stream 22.4 and plain
// reading 23.2). Software prefetching costs more than it gives.

// Adds the product of one group of blocks, `columns` columns, for kRows rows `apart` bytes from
// each other.
template <int kRows, int kBatch, bool kWhole>
static inline void add_group(const Lookup& lookup, const std::uint8_t* from, std::size_t apart,
                             std::size_t columns, const FixedInput& x, std::size_t group,
                             std::size_t first, Vec (&sums)[kRows][kBatch]) {
  IntAcc parts[kRows][kBatch];
  for (int r = 0; r < kRows; ++r) {
    for (int n = 0; n < kBatch; ++n) parts[r][n] = zero_sum();
  }
  const std::size_t blocks = kWhole ? kRowGroup : (columns + kFixedBlock - 1) / kFixedBlock;
#pragma GCC unroll 4
  for (std::size_t b = 0; b < blocks; ++b) {
    const std::size_t done = b * kFixedBlock;
    const std::int16_t* v = x.values + ((group * kRowGroup + b) * x.batch + first) * kFixedBlock;
    for (int r = 0; r < kRows; ++r) {
      __m512i w[2];
      const std::uint8_t* indices = from + static_cast<std::size_t>(r) * apart + done;
      lookup.decode(indices, kWhole ? kFixedBlock : columns - done, w);
      for (int n = 0; n < kBatch; ++n) {
        parts[r][n] = dot(parts[r][n], w[0], load_pairs(v + n * kFixedBlock));
        parts[r][n] = dot(parts[r][n], w[1], load_pairs(v + n * kFixedBlock + 32));
      }
    }
  }
  for (int n = 0; n < kBatch; ++n) {
    const Vec scale = broadcast(x.scales[group * x.batch + first + n]);
    for (int r = 0; r < kRows; ++r) sums[r][n] += to_floats(parts[r][n]) * scale;
  }
}

struct RowTask {
  const Lookup& lookup;
  float table_scale;
  const std::uint8_t* indices;
  std::size_t index_columns;
  const FixedInput& x;
  bool accumulate;
  float* y;
  std::size_t y_stride;
};

// Rows [begin, begin + count * kRows): `count` times kRows rows that lie `count` rows apart.
template <int kRows, int kBatch>
static void fixed_rows_of(const RowTask& task, std::size_t begin, std::size_t count,
                          std::size_t first) {
  constexpr std::size_t kGroup = kRowGroup * kFixedBlock;
  const Lookup lookup = task.lookup;  // stays in registers
  for (std::size_t row = begin; row < begin + count; ++row) {
    const std::uint8_t* from = task.indices + row * task.index_columns;
    const std::size_t apart = count * task.index_columns;
    Vec sums[kRows][kBatch] = {};
    std::size_t group = 0;
    std::size_t left = task.index_columns;
    for (; left >= kGroup; left -= kGroup, from += kGroup, ++group) {
      add_group<kRows, kBatch, true>(lookup, from, apart, kGroup, task.x, group, first, sums);
    }
    if (left > 0) {
      add_group<kRows, kBatch, false>(lookup, from, apart, left, task.x, group, first, sums);
    }
    for (int r = 0; r < kRows; ++r) {
      for (int n = 0; n < kBatch; ++n) {
        float* to =
            task.y + (first + n) * task.y_stride + row + static_cast<std::size_t>(r) * count;
        const float product = sum_lanes(sums[r][n]) * task.table_scale;
        *to = task.accumulate ? *to + product : product;
      }
    }
  }
}

static void fixed_rows(const FixedTable& table, const std::uint8_t* indices,
                       std::size_t index_columns, std::size_t begin, std::size_t end,
                       const FixedInput& x, bool accumulate, float* y,
                       std::size_t y_stride) noexcept {
  const Lookup lookup(table);
  const RowTask task{lookup, table.scale, indices, index_columns, x, accumulate, y, y_stride};
  std::size_t n = 0;
  const auto advance = [&]<int kRows, int kBatch>() {
    const std::size_t count = (end - begin) / kRows;
    for (; n + kBatch <= x.batch; n += kBatch) {
      fixed_rows_of<kRows, kBatch>(task, begin, count, n);
      if (begin + count * kRows < end) fixed_rows_of<1, kBatch>(task, end - 1, 1, n);
    }
  };
  advance.template operator()<1, 8>();
  advance.template operator()<1, 4>();
  advance.template operator()<2, 2>();
  advance.template operator()<2, 1>();
}

static void fixed_panel(const FixedTable& table, const std::uint8_t* indices,
                        std::size_t index_stride, std::size_t rows, std::size_t count,
                        std::uint16_t* panel) noexcept {
  const Lookup lookup(table);
  for (std::size_t done = 0; done < count; done += kFixedBlock) {
    alignas(64) float squares[2][kLanes * kLanes];  // pairs of 16-bit values
    for (std::size_t first = 0; first < kPanelRows; first += kLanes) {
      for (std::size_t r = 0; r < kLanes; ++r) {
        __m512i w[2] = {};
        if (first + r < rows) {
          const std::uint8_t* from = indices + (first + r) * index_stride + done;
          __builtin_prefetch(from + count, 0, 2);  // of the next panel piece
          lookup.decode(from, count - done, w);
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
