// Codebook rows and panels in 16-bit fixed point for the AVX-512 files. Included after
// fixed_products.inl. A lookup has a constructor from a table and decode(from, count, values): 64
// indices (those past `count` as any valid index) to 2 x 32 values in kColumnOrder. Needs Lookup,
// one for any table, of panels. Lookups are inlined by force: a call would load the table again for
// every 64 indices.
//
// Rows of batch 1 read two streams at once, half of the rows apart, because one stream does not
// fill what a core can have under way; neighbouring rows would share pages, which confuses the
// prefetchers (measured on Zen 4: 7 GB/s, where halves apart give 23.5, one stream 22.4 and plain
// reading 23.2).

// Where unpacking within 128-bit lanes leaves the 64 columns.
constexpr std::uint8_t kColumnOrder[64] = {
    0,  1,  2,  3,  4,  5,  6,  7,  16, 17, 18, 19, 20, 21, 22, 23, 32, 33, 34, 35, 36, 37,
    38, 39, 48, 49, 50, 51, 52, 53, 54, 55, 8,  9,  10, 11, 12, 13, 14, 15, 24, 25, 26, 27,
    28, 29, 30, 31, 40, 41, 42, 43, 44, 45, 46, 47, 56, 57, 58, 59, 60, 61, 62, 63};

// Adds the product of one group of blocks, `columns` columns, for kRows rows `apart` bytes from
// each other.
template <int kRows, int kBatch, bool kWhole, typename RowLookup>
static inline void add_group(const RowLookup& lookup, const std::uint8_t* from, std::size_t apart,
                             std::size_t columns, const FixedInput& x, std::size_t group,
                             std::size_t first, Vec (&sums)[kRows][kBatch]) {
  IntAcc parts[kRows][kBatch];
  unroll<kRows * kBatch>([&]<int i>() { parts[i / kBatch][i % kBatch] = zero_sum(); });
  const std::size_t stride = x.batch * kFixedBlock;
  const std::int16_t* v = x.values + group * kRowGroup * stride + first * kFixedBlock;
  const auto add_block = [&](std::size_t done) {
    IntAcc xs[kBatch][2];
    unroll<kBatch>([&]<int n>() {
      xs[n][0] = load_pairs(v + n * kFixedBlock);
      xs[n][1] = load_pairs(v + n * kFixedBlock + 32);
    });
    unroll<kRows>([&]<int r>() {
      __m512i w[2];
      const std::uint8_t* indices = from + static_cast<std::size_t>(r) * apart + done;
      prefetch_row(indices);
      lookup.decode(indices, kWhole ? kFixedBlock : columns - done, w);
      unroll<kBatch>([&]<int n>() {
        parts[r][n] = dot(parts[r][n], w[0], xs[n][0]);
        parts[r][n] = dot(parts[r][n], w[1], xs[n][1]);
      });
    });
    v += stride;
  };
  if constexpr (kWhole) {
    unroll<kRowGroup>([&]<int b>() { add_block(b * kFixedBlock); });
  } else {
    for (std::size_t done = 0; done < columns; done += kFixedBlock) add_block(done);
  }
  unroll<kBatch>([&]<int n>() {
    const Vec scale = broadcast(x.scales[group * x.batch + first + n]);
    unroll<kRows>([&]<int r>() { sums[r][n] += to_floats(parts[r][n]) * scale; });
  });
}

// Rows [begin, begin + count * kRows): `count` times kRows rows that lie `count` rows apart.
template <typename RowLookup, int kRows, int kBatch>
static void fixed_rows_of(const RowTask<FixedInput>& task, std::size_t begin, std::size_t count,
                          std::size_t first) {
  constexpr std::size_t kGroup = kRowGroup * kFixedBlock;
  const RowLookup lookup(task.table);
  for (std::size_t row = begin; row < begin + count; ++row) {
    const std::uint8_t* from = task.indices + row * task.index_columns;
    const std::size_t apart = count * task.index_columns;
    Vec sums[kRows][kBatch];
    unroll<kRows * kBatch>([&]<int i>() { sums[i / kBatch][i % kBatch] = Vec{}; });
    std::size_t group = 0;
    std::size_t left = task.index_columns;
    for (; left >= kGroup; left -= kGroup, from += kGroup, ++group) {
      add_group<kRows, kBatch, true>(lookup, from, apart, kGroup, task.x, group, first, sums);
    }
    if (left > 0) {
      add_group<kRows, kBatch, false>(lookup, from, apart, left, task.x, group, first, sums);
    }
    unroll<kRows * kBatch>([&]<int i>() {
      constexpr std::size_t r = i / kBatch;
      constexpr std::size_t n = i % kBatch;
      float* to = task.y + (first + n) * task.y_stride + row + r * count;
      const float product = sum_lanes(sums[r][n]) * task.table.scale;
      *to = task.accumulate ? *to + product : product;
    });
  }
}

template <typename RowLookup>
static void fixed_rows_by(const RowTask<FixedInput>& task, std::size_t begin,
                          std::size_t end) noexcept {
  std::size_t n = 0;
  const auto advance = [&]<int kRows, int kBatch>() {
    const std::size_t count = (end - begin) / kRows;
    for (; n + kBatch <= task.x.batch; n += kBatch) {
      fixed_rows_of<RowLookup, kRows, kBatch>(task, begin, count, n);
      if (begin + count * kRows < end) fixed_rows_of<RowLookup, 1, kBatch>(task, end - 1, 1, n);
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
