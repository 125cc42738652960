// Codebook rows in F32 for the AVX-512 files: two lookups of 16 bits find the halves of 64 values,
// unpacking joins them. Included after avx512_fixed.inl.

// Vector v of a block has, of every 128-bit lane of the 16-bit vector v / 2, the half v % 2: four
// columns that follow each other.
static void order_columns(const float* x, std::size_t columns, float* ordered) noexcept {
  for (std::size_t begin = 0; begin < columns; begin += kFixedBlock, ordered += kFixedBlock) {
    float part[kFixedBlock] = {};
    const std::size_t count = smaller_size(kFixedBlock, columns - begin);
    __builtin_memcpy(part, x + begin, count * sizeof(float));
    for (std::size_t i = 0; i < kFixedBlock; i += 4) {
      const std::size_t vector = i / kLanes;
      const std::size_t lane = i % kLanes / 4;
      const std::size_t position = vector / 2 * 32 + lane * 8 + vector % 2 * 4;
      __builtin_memcpy(ordered + i, part + kColumnOrder[position], 16);
    }
  }
}

// Adds the product of one block to one sum per vector for a batch of one, else to one per row.
template <int kBatch, int kSums>
static inline void add_lookup_block(const Lookup& low, const Lookup& high,
                                    const std::uint8_t* indices, std::size_t count, const float* x,
                                    std::size_t x_stride, Vec (&sums)[kSums]) {
  __m512i lows[2];
  __m512i highs[2];
  prefetch_row(indices);
  low.decode(indices, count, lows);
  high.decode(indices, count, highs);
  unroll<4>([&]<int v>() {
    const Vec w = (Vec)(v % 2 == 0 ? _mm512_unpacklo_epi16(lows[v / 2], highs[v / 2])
                                   : _mm512_unpackhi_epi16(lows[v / 2], highs[v / 2]));
    unroll<kBatch>(
        [&]<int n>() { sums[kBatch == 1 ? v : n] += w * load(x + n * x_stride + v * kLanes); });
  });
}

template <int kBatch>
static void lookup_rows_of(const FixedTable* halves, const std::uint8_t* indices,
                           std::size_t index_columns, std::size_t begin, std::size_t end,
                           const float* x, std::size_t x_stride, float* y, std::size_t y_stride) {
  const Lookup low(halves[0]);
  const Lookup high(halves[1]);
  for (std::size_t row = begin; row < end; ++row) {
    const std::uint8_t* from = indices + row * index_columns;
    Vec sums[kBatch == 1 ? 4 : kBatch] = {};
    std::size_t done = 0;
    for (; done + kFixedBlock <= index_columns; done += kFixedBlock) {
      add_lookup_block<kBatch>(low, high, from + done, kFixedBlock, x + done, x_stride, sums);
    }
    if (done < index_columns) {
      add_lookup_block<kBatch>(low, high, from + done, index_columns - done, x + done, x_stride,
                               sums);
    }
    if constexpr (kBatch == 1) {
      y[row] = sum_lanes((sums[0] + sums[1]) + (sums[2] + sums[3]));
    } else {
      for (int n = 0; n < kBatch; ++n) y[n * y_stride + row] = sum_lanes(sums[n]);
    }
  }
}

static void lookup_rows(const FixedTable* halves, const std::uint8_t* indices,
                        std::size_t index_columns, std::size_t begin, std::size_t end,
                        const float* x, std::size_t batch, float* y,
                        std::size_t y_stride) noexcept {
  const std::size_t x_stride = (index_columns + kFixedBlock - 1) / kFixedBlock * kFixedBlock;
  std::size_t n = 0;
  const auto advance = [&](auto rows_of, std::size_t rows) {
    for (; n + rows <= batch; n += rows) {
      rows_of(halves, indices, index_columns, begin, end, x + n * x_stride, x_stride,
              y + n * y_stride, y_stride);
    }
  };
  advance(lookup_rows_of<4>, 4);
  advance(lookup_rows_of<2>, 2);
  advance(lookup_rows_of<1>, 1);
}
