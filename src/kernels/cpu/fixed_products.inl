// Panels of 16-bit fixed-point weights times 16-bit fixed-point x. Included after lanes.inl; needs
// IntAcc, load_pairs(p) (a vector of pairs of 16-bit numbers), dot_both(sum0, sum1, w0, w1, pair),
// to_floats(sum) kFixedTileBatch and kFixedTileRest.
//
// A block of 64 columns is 32 steps in 32-bit sums, which FixedInput's bound keeps from overflow;
// then one multiplication by the block's scale adds them to the F32 tile. Four blocks of a panel
// (at most 16 KiB) stay in the first-level cache while all batch rows pass by.

template <int kBatch>
static inline void fixed_tile(const std::uint16_t* panel, const std::int16_t* x,
                              const float* scales, float* tile) {
  IntAcc first[kBatch];
  IntAcc second[kBatch];
  unroll<kBatch>([&]<int n>() { first[n] = second[n] = zero_sum(); });
  for (std::size_t step = 0; step < kFixedBlock / 2; ++step) {
    const IntAcc w0 = load_pairs(panel);
    const IntAcc w1 = load_pairs(panel + kPanelRows);
    panel += 2 * kPanelRows;
    unroll<kBatch>(
        [&]<int n>() { dot_both(first[n], second[n], w0, w1, x + n * kFixedBlock + 2 * step); });
  }
  unroll<kBatch>([&]<int n>() {
    const Vec scale = broadcast(scales[n]);
    float* to = tile + n * kPanelRows;
    store(to, load(to) + to_floats(first[n]) * scale);
    store(to + kLanes, load(to + kLanes) + to_floats(second[n]) * scale);
  });
}

static void fixed_multiply(const std::uint16_t* panel, const FixedInput& input,
                           float* tile) noexcept {
  constexpr std::size_t kBlocksAtOnce = 4;
  for (std::size_t begin = 0; begin < input.blocks; begin += kBlocksAtOnce) {
    const std::size_t end = smaller_size(input.blocks, begin + kBlocksAtOnce);
    std::size_t n = 0;
    const auto advance = [&](auto tile_of, std::size_t rows) {
      for (; n + rows <= input.batch; n += rows) {
        for (std::size_t block = begin; block < end; ++block) {
          const std::size_t at = block * input.batch + n;
          tile_of(panel + block * kFixedBlock * kPanelRows, input.values + at * kFixedBlock,
                  input.scales + at, tile + n * kPanelRows);
        }
      }
    };
    advance(fixed_tile<kFixedTileBatch>, kFixedTileBatch);
    advance(fixed_tile<kFixedTileRest>, kFixedTileRest);
    advance(fixed_tile<1>, 1);
  }
}
