#pragma once

#include <cstddef>
#include <cstdint>

namespace helix {

// BF16 panels of 32 weight rows times x by 16 x 16 tiles: two tiles of 16 batch rows and two of 16
// weight rows make four tiles of sums, 32 columns a step. `Tiles` is the unit: the real one in
// amx_kernels.cpp, or a model of it in plain code, by which the arithmetic of addresses is tested
// on machines without tiles.
//
// panel (steps, 32, 2), steps a multiple of 16; x (steps / 16, batch_stride, 32) and tile (batch,
// 32) with room for a multiple of 32 batch rows.
template <class Tiles>
struct AmxMultiply {
  static constexpr std::size_t kPanelRows = 32;
  static constexpr std::size_t kTileSteps = 16;

  static void multiply(const std::uint16_t* panel, std::size_t steps, const std::uint16_t* x,
                       std::size_t batch_stride, std::size_t batch, float* tile) {
    Tiles::begin();
    for (std::size_t n = 0; n < batch; n += 32) {
      multiply_32(panel, steps, x + n * 32, batch_stride, tile + n * kPanelRows);
    }
    Tiles::end();
  }

 private:
  static void multiply_32(const std::uint16_t* panel, std::size_t steps, const std::uint16_t* x,
                          std::size_t batch_stride, float* tile) {
    constexpr std::size_t kSumBytes = kPanelRows * sizeof(float);
    constexpr std::size_t kPanelBytes = kPanelRows * 2 * sizeof(std::uint16_t);
    constexpr std::size_t kInputBytes = 32 * sizeof(std::uint16_t);
    float* lower = tile + 16 * kPanelRows;
    Tiles::template load<0>(tile, kSumBytes);
    Tiles::template load<1>(tile + 16, kSumBytes);
    Tiles::template load<2>(lower, kSumBytes);
    Tiles::template load<3>(lower + 16, kSumBytes);
    for (std::size_t step = 0; step < steps; step += kTileSteps) {
      const std::uint16_t* weights = panel + step * kPanelRows * 2;
      const std::uint16_t* input = x + step / kTileSteps * batch_stride * 32;
      Tiles::template load<4>(input, kInputBytes);
      Tiles::template load<5>(input + std::size_t{16} * 32, kInputBytes);
      Tiles::template load<6>(weights, kPanelBytes);
      Tiles::template load<7>(weights + 32, kPanelBytes);
      Tiles::template dot<0, 4, 6>();
      Tiles::template dot<1, 4, 7>();
      Tiles::template dot<2, 5, 6>();
      Tiles::template dot<3, 5, 7>();
    }
    Tiles::template store<0>(tile, kSumBytes);
    Tiles::template store<1>(tile + 16, kSumBytes);
    Tiles::template store<2>(lower, kSumBytes);
    Tiles::template store<3>(lower + 16, kSumBytes);
  }
};

}  // namespace helix
