// Panels of 16-bit fixed-point weights times 16-bit fixed-point x. Included after lanes.inl; needs
// IntAcc, load_pairs(p) (a vector of pairs of 16-bit numbers), dot_both(sum0, sum1, w0, w1, pair),
// to_floats(sum) kFixedTileBatch and kFixedTileRest.
//
// A group of kPanelGroup blocks of 64 columns is summed in 32 bits, which FixedInput's bound keeps
// from overflow; then one multiplication by the group's scale adds the sums to the F32 tile.

// tile (kBatch, kPanelRows), rows `tile_stride` apart, (+)= the product of `blocks` <= kPanelGroup
// blocks of one scale, whose x lie `x_stride` apart.
template <int kBatch>
static inline void fixed_tile(const std::uint16_t* panel, std::size_t blocks, const std::int16_t* x,
                              std::size_t x_stride, const float* scales, bool accumulate,
                              float* tile, std::size_t tile_stride) {
  IntAcc first[kBatch];
  IntAcc second[kBatch];
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
  unroll<kBatch>([&]<int n>() {
    const Vec scale = broadcast(scales[n]);
    float* to = tile + n * tile_stride;
    const Vec before[2] = {accumulate ? load(to) : Vec{}, accumulate ? load(to + kLanes) : Vec{}};
    store(to, before[0] + to_floats(first[n]) * scale);
    store(to + kLanes, before[1] + to_floats(second[n]) * scale);
  });
}

static void fixed_multiply(const std::uint16_t* panel, const FixedInput& input, std::size_t batch,
                           bool accumulate, float* tile, std::size_t tile_stride) noexcept {
  std::size_t n = 0;
  const auto advance = [&](auto tile_of, std::size_t rows) {
    for (; n + rows <= batch; n += rows) {
      for (std::size_t block = 0; block < input.blocks; block += kPanelGroup) {
        tile_of(panel + block * kFixedBlock * kPanelRows,
                smaller_size(kPanelGroup, input.blocks - block),
                input.values + (block * input.batch + n) * kFixedBlock, input.batch * kFixedBlock,
                input.scales + block / kPanelGroup * input.batch + n, accumulate || block > 0,
                tile + n * tile_stride, tile_stride);
      }
    }
  };
  advance(fixed_tile<kFixedTileBatch>, kFixedTileBatch);
  advance(fixed_tile<kFixedTileRest>, kFixedTileRest);
  advance(fixed_tile<1>, 1);
}
