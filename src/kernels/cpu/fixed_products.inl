// Panels of 16-bit fixed-point weights times 16-bit fixed-point x. Included after lanes.inl; needs
// IntAcc, to_floats(sum), kFixedTileBatch and kFixedTileRest, and
//   sum_blocks<kBatch>(panel, blocks, x, x_stride, first, second)
// which sets first[n] and second[n] to the halves of a panel's sums of batch row n.
//
// A group of kPanelGroup blocks of 64 columns is summed in 32 bits, which FixedInput's bound keeps
// from overflow; then one multiplication by the group's scale adds the sums to the F32 tile.

// out (kBatch, kPanelRows) = scale * the product of `blocks` <= kPanelGroup blocks of one scale of x,
// which lie `x_stride` apart, plus what `tile` held if `accumulate`.
template <int kBatch>
static inline void fixed_tile(const std::uint16_t* panel, std::size_t blocks, const std::int16_t* x,
                              std::size_t x_stride, const float* x_scales, float scale,
                              bool accumulate, TileRows tile, TileRows out) {
  IntAcc first[kBatch];
  IntAcc second[kBatch];
  sum_blocks<kBatch>(panel, blocks, x, x_stride, first, second);
  unroll<kBatch>([&]<int n>() {
    const Vec factor = broadcast(x_scales[n] * scale);
    const float* from = tile.data + n * tile.stride;
    float* to = out.data + n * out.stride;
    const Vec before[2] = {accumulate ? load(from) : Vec{},
                           accumulate ? load(from + kLanes) : Vec{}};
    store(to, before[0] + to_floats(first[n]) * factor);
    store(to + kLanes, before[1] + to_floats(second[n]) * factor);
  });
}

static void fixed_multiply(const std::uint16_t* panel, const FixedInput& input, std::size_t batch,
                           float scale, bool accumulate, TileRows tile, TileRows out) noexcept {
  std::size_t n = 0;
  const auto rows_from = [&](TileRows rows) {
    return TileRows{rows.data + n * rows.stride, rows.stride};
  };
  const auto advance = [&](auto tile_of, std::size_t rows) {
    for (; n + rows <= batch; n += rows) {
      for (std::size_t block = 0; block < input.blocks; block += kPanelGroup) {
        const bool last = block + kPanelGroup >= input.blocks;
        tile_of(panel + block * kFixedBlock * kPanelRows,
                smaller_size(kPanelGroup, input.blocks - block),
                input.values + (block * input.batch + n) * kFixedBlock, input.batch * kFixedBlock,
                input.scales + block / kPanelGroup * input.batch + n, scale,
                accumulate || block > 0, rows_from(tile), rows_from(last ? out : tile));
      }
    }
  };
  advance(fixed_tile<kFixedTileBatch>, kFixedTileBatch);
  advance(fixed_tile<kFixedTileRest>, kFixedTileRest);
  advance(fixed_tile<1>, 1);
}
