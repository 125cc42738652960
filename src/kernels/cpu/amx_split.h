#pragma once

#include <cstddef>
#include <cstdint>

namespace helix {

// F32 products by BF16 tiles: every number is the sum of two BF16 ones, its rounding and what that
// leaves. Of their four products the one of the two rests is left out, at most 2^-17 of the
// result's norm. `Tiles` is the unit as in amx_multiply.h.
template <class Tiles>
struct AmxSplit {
  static constexpr std::size_t kTile = 512;  // BF16 numbers: 16 rows of 32

  // c (16 * row_blocks, 16 * column_blocks), rows `c_stride` floats apart, = or += a * b.
  //   a (2 planes, row_blocks, chunks, 16 rows, 32 steps)
  //   b (2 planes, column_blocks, chunks, 16 pairs of steps, 16 columns, 2)
  // `exact`: the second plane of b is zero and not read. The numbers of blocks are even. Tiles are
  // set up.
  static void multiply(const std::uint16_t* a, std::size_t row_blocks, const std::uint16_t* b,
                       std::size_t column_blocks, bool exact, std::size_t chunks, bool accumulate,
                       float* c, std::size_t c_stride) {
    const std::size_t a_plane = row_blocks * chunks * kTile;
    const std::size_t b_plane = column_blocks * chunks * kTile;
    const std::size_t bytes = c_stride * sizeof(float);
    for (std::size_t n = 0; n < column_blocks; n += 2) {
      for (std::size_t m = 0; m < row_blocks; m += 2) {
        float* upper = c + m * 16 * c_stride + n * 16;
        float* lower = upper + 16 * c_stride;
        if (accumulate) {
          Tiles::template load<0>(upper, bytes);
          Tiles::template load<1>(upper + 16, bytes);
          Tiles::template load<2>(lower, bytes);
          Tiles::template load<3>(lower + 16, bytes);
        } else {
          Tiles::template zero<0>();
          Tiles::template zero<1>();
          Tiles::template zero<2>();
          Tiles::template zero<3>();
        }
        const std::uint16_t* left = a + m * chunks * kTile;
        const std::uint16_t* right = b + n * chunks * kTile;
        for (std::size_t chunk = 0; chunk < chunks; ++chunk) {
          const std::size_t at = chunk * kTile;
          load_right(right + at, chunks);
          load_left(left + a_plane + at, chunks);
          dots();
          load_left(left + at, chunks);
          dots();
          if (exact) continue;
          load_right(right + b_plane + at, chunks);
          dots();
        }
        Tiles::template store<0>(upper, bytes);
        Tiles::template store<1>(upper + 16, bytes);
        Tiles::template store<2>(lower, bytes);
        Tiles::template store<3>(lower + 16, bytes);
      }
    }
  }

 private:
  static void load_left(const std::uint16_t* from, std::size_t chunks) {
    Tiles::template load<4>(from, 64);
    Tiles::template load<5>(from + chunks * kTile, 64);
  }

  static void load_right(const std::uint16_t* from, std::size_t chunks) {
    Tiles::template load<6>(from, 64);
    Tiles::template load<7>(from + chunks * kTile, 64);
  }

  static void dots() {
    Tiles::template dot<0, 4, 6>();
    Tiles::template dot<1, 4, 7>();
    Tiles::template dot<2, 5, 6>();
    Tiles::template dot<3, 5, 7>();
  }
};

}  // namespace helix
