#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/kernel_table.h"

namespace helix {

// Products of 16-bit numbers by tiles of 8-bit ones. A number is 256 * high + low, and of the four
// products of planes the tiles make three: high * high, high * low and low * high. low * low is
// left out: both are the evenly spread remainders of rounding to 8 bits, so that what is missing is
// noise of their product, 1e-4 of the result or less where x has no extremes.
//
// `Tiles` is the unit as in amx_multiply.h. Four of its tiles hold sums, of high products and of
// mixed ones for two tiles of 16 weight rows; the others hold the planes of x and of one tile of
// weights. While the unit multiplies, the vector units add the sums of the block of x before to the
// F32 result, and what is needed next is asked for.
template <class Tiles>
class AmxPlanes {
 public:
  // KernelTable::plane_multiply.
  static void multiply(const std::int8_t* panel, const PlaneInput& x, float scale, bool accumulate,
                       float* sums, const PlaneAhead& ahead) noexcept {
    if (accumulate) {
      multiply_piece<true>(panel, x, scale, sums, ahead);
    } else {
      multiply_piece<false>(panel, x, scale, sums, ahead);
    }
  }

 private:
  static constexpr std::size_t kTile = 1024;  // bytes
  typedef float Floats __attribute__((vector_size(64)));
  typedef std::int32_t Ints __attribute__((vector_size(64)));

  // Sums of a block of 16 batch rows: of high and of mixed products of rows 0-15, then of 16-31.
  struct alignas(64) Made {
    std::int32_t tiles[4][16][16];
  };

  // Spreads what is ahead over a number of steps.
  class Prefetcher {
   public:
    Prefetcher(const PlaneAhead& ahead, std::size_t steps)
        : ahead_(ahead),
          lines_(ahead.rows * kRowLines),
          lines_at_once_((lines_ + steps - 1) / steps),
          bytes_at_once_((ahead.value_bytes / 64 + steps - 1) / steps * 64) {}

    void next() {
      for (std::size_t i = 0; i < lines_at_once_ && line_ < lines_; ++i, ++line_) {
        __builtin_prefetch(
            ahead_.indices + line_ / kRowLines * ahead_.index_stride + line_ % kRowLines * 64, 0, 2);
      }
      for (std::size_t i = 0; i < bytes_at_once_ && byte_ < ahead_.value_bytes; i += 64) {
        __builtin_prefetch(ahead_.values + byte_, 0, 2);
        byte_ += 64;
      }
    }

   private:
    static constexpr std::size_t kRowLines = kPlaneColumns / 64;
    PlaneAhead ahead_;
    std::size_t lines_;
    std::size_t lines_at_once_;
    std::size_t bytes_at_once_;
    std::size_t line_ = 0;
    std::size_t byte_ = 0;
  };

  template <bool kAccumulate>
  static void multiply_piece(const std::int8_t* panel, const PlaneInput& x, float scale,
                             float* sums, const PlaneAhead& ahead) {
    Made made;
    const std::size_t rows_at_once = (32 + x.steps - 1) / x.steps;
    Prefetcher prefetcher(ahead, x.blocks * x.steps);
    Tiles::begin();
    for (std::size_t block = 0; block < x.blocks; ++block) {
      Tiles::template zero<0>();
      Tiles::template zero<1>();
      Tiles::template zero<2>();
      Tiles::template zero<3>();
      for (std::size_t step = 0; step < x.steps; ++step) {
        multiply_step(panel + step * 4 * kTile, x.values + (block * x.steps + step) * 2 * kTile);
        prefetcher.next();
        if (block == 0) continue;
        add_rows<kAccumulate>(made, step * rows_at_once, rows_at_once, scale,
                              x.scales + (block - 1) * 16, sums + (block - 1) * 512);
      }
      Tiles::template store<0>(made.tiles[0], 64);
      Tiles::template store<1>(made.tiles[1], 64);
      Tiles::template store<2>(made.tiles[2], 64);
      Tiles::template store<3>(made.tiles[3], 64);
    }
    Tiles::end();
    const std::size_t last = x.blocks - 1;
    add_rows<kAccumulate>(made, 0, 32, scale, x.scales + last * 16, sums + last * 512);
  }

  // 64 columns of 32 rows and of one block of x.
  static void multiply_step(const std::int8_t* weights, const std::int8_t* input) {
    Tiles::template load<4>(input, 64);
    Tiles::template load<5>(input + kTile, 64);
    Tiles::template load<6>(weights, 64);
    Tiles::template load<7>(weights + kTile, 64);
    Tiles::template dot_bytes<0, 6, 4>();
    Tiles::template dot_bytes<1, 6, 5>();
    Tiles::template dot_bytes<1, 7, 4>();
    Tiles::template load<6>(weights + 2 * kTile, 64);
    Tiles::template load<7>(weights + 3 * kTile, 64);
    Tiles::template dot_bytes<2, 6, 4>();
    Tiles::template dot_bytes<3, 6, 5>();
    Tiles::template dot_bytes<3, 7, 4>();
  }

  template <bool kAccumulate>
  static void add_rows(const Made& made, std::size_t first, std::size_t count, float scale,
                       const float* x_scales, float* sums) {
    Floats factors;
    __builtin_memcpy(&factors, x_scales, sizeof(factors));
    factors *= 256.0F * scale;
    const std::size_t end = first + count < 32 ? first + count : 32;
    for (std::size_t row = first; row < end; ++row) {
      Ints high;
      Ints mixed;
      __builtin_memcpy(&high, made.tiles[row / 16 * 2][row % 16], sizeof(high));
      __builtin_memcpy(&mixed, made.tiles[row / 16 * 2 + 1][row % 16], sizeof(mixed));
      Floats sum = {};
      if (kAccumulate) __builtin_memcpy(&sum, sums + row * 16, sizeof(sum));
      sum += (256.0F * __builtin_convertvector(high, Floats) +
              __builtin_convertvector(mixed, Floats)) *
             factors;
      __builtin_memcpy(sums + row * 16, &sum, sizeof(sum));
    }
  }
};

}  // namespace helix
