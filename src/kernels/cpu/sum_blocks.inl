// sum_blocks for fixed_products.inl, by load_pairs(p) (a vector of pairs of 16-bit numbers) and
// dot_both(sum0, sum1, w0, w1, pair).

template <int kBatch>
static inline void sum_blocks(const std::uint16_t* panel, std::size_t blocks, const std::int16_t* x,
                              std::size_t x_stride, IntAcc (&first)[kBatch],
                              IntAcc (&second)[kBatch]) {
  unroll<kBatch>([&]<int n>() { first[n] = second[n] = zero_sum(); });
  for (std::size_t block = 0; block < blocks; ++block, x += x_stride) {
    for (std::size_t step = 0; step < kFixedBlock / 2; ++step) {
      if (step < kBatch) {  // the next rows
        __builtin_prefetch(x + (kBatch + step) * kFixedBlock);
        __builtin_prefetch(x + (kBatch + step) * kFixedBlock + kFixedBlock / 2);
      }
      const IntAcc w0 = load_pairs(panel);
      const IntAcc w1 = load_pairs(panel + kPanelRows);
      panel += 2 * kPanelRows;
      unroll<kBatch>(
          [&]<int n>() { dot_both(first[n], second[n], w0, w1, x + n * kFixedBlock + 2 * step); });
    }
  }
}
