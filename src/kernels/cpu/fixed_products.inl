// Panels of 16-bit fixed-point weights times 16-bit fixed-point x. Included after lanes.inl; needs
// IntAcc, load_pairs(p) (a vector of pairs of 16-bit numbers), broadcast_pair(p), dot(sum, w, x),
// to_floats(sum) and kFixedTileBatch.
//
// A block of 64 columns is 32 steps in 32-bit sums, which FixedInput's bound keeps from overflow;
// then one multiplication by the block's scale adds them to the F32 tile. Eight blocks of a panel
// (at most 32 KiB) stay in the first-level cache while all batch rows pass by.

template <int kBatch>
static inline void fixed_tile(const std::uint16_t* panel, std::size_t blocks, const std::int16_t* x,
                              std::size_t x_stride, const float* scales, std::size_t scale_stride,
                              float table_scale, float* tile) {
  constexpr std::size_t kSteps = kFixedBlock / 2;
  for (std::size_t block = 0; block < blocks; ++block) {
    IntAcc first[kBatch];
    IntAcc second[kBatch];
    for (int n = 0; n < kBatch; ++n) first[n] = second[n] = zero_sum();
    for (std::size_t step = 0; step < kSteps; ++step) {
      const IntAcc w0 = load_pairs(panel);
      const IntAcc w1 = load_pairs(panel + kPanelRows);
      panel += 2 * kPanelRows;
      for (int n = 0; n < kBatch; ++n) {
        const IntAcc v = broadcast_pair(x + n * x_stride + block * kFixedBlock + 2 * step);
        first[n] = dot(first[n], w0, v);
        second[n] = dot(second[n], w1, v);
      }
    }
    for (int n = 0; n < kBatch; ++n) {
      const Vec scale = broadcast(scales[n * scale_stride + block] * table_scale);
      float* to = tile + n * kPanelRows;
      store(to, load(to) + to_floats(first[n]) * scale);
      store(to + kLanes, load(to + kLanes) + to_floats(second[n]) * scale);
    }
  }
}

static void fixed_multiply(const std::uint16_t* panel, const FixedInput& input, float table_scale,
                           float* tile) noexcept {
  constexpr std::size_t kBlocksAtOnce = 4;
  const std::size_t stride = input.blocks * kFixedBlock;
  for (std::size_t block = 0; block < input.blocks; block += kBlocksAtOnce) {
    const std::size_t count = smaller_size(kBlocksAtOnce, input.blocks - block);
    const std::uint16_t* part = panel + block * kFixedBlock * kPanelRows;
    const std::int16_t* x = input.values + block * kFixedBlock;
    const float* scales = input.scales + block;
    std::size_t n = 0;
    const auto advance = [&](auto tile_of, std::size_t rows) {
      for (; n + rows <= input.batch; n += rows) {
        tile_of(part, count, x + n * stride, stride, scales + n * input.blocks, input.blocks,
                table_scale, tile + n * kPanelRows);
      }
    };
    advance(fixed_tile<kFixedTileBatch>, kFixedTileBatch);
    advance(fixed_tile<kFixedTileBatch / 2>, kFixedTileBatch / 2);
    advance(fixed_tile<1>, 1);
  }
}
