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
// F32 result, then the outliers, and what is needed next is asked for. Few other instructions may
// lie in between, or the unit waits for them: all loops over steps and rows are unrolled.
template <class Tiles>
class AmxPlanes {
 public:
  // KernelTable::plane_multiply.
  static void multiply(const std::int8_t* panel, const PlaneInput& x, float scale, bool accumulate,
                       float* sums, const PlaneExtras& extras) noexcept {
    switch (x.steps) {
      case 1: return multiply_steps<1>(panel, x, scale, accumulate, sums, extras);
      case 2: return multiply_steps<2>(panel, x, scale, accumulate, sums, extras);
      case 3: return multiply_steps<3>(panel, x, scale, accumulate, sums, extras);
      default: return multiply_steps<4>(panel, x, scale, accumulate, sums, extras);
    }
  }

 private:
  static_assert(kPlaneColumns == 4 * kFixedBlock);
  static constexpr std::size_t kTile = 1024;  // bytes
  static constexpr std::size_t kRows = 32;
  typedef float Floats __attribute__((vector_size(64)));
  typedef std::int32_t Ints __attribute__((vector_size(64)));

  template <std::size_t kSteps>
  static constexpr std::size_t kBlock = kSteps * 2 * kTile;  // bytes of 16 batch rows

  // Sums of a block of 16 batch rows: of every row its high and its mixed products.
  struct alignas(64) Made {
    std::int32_t rows[kRows][2][16];
  };

  // Spreads what is ahead over a number of steps; rounded up, so that it ends a little past it.
  class Prefetcher {
   public:
    Prefetcher(const PlaneExtras& extras, std::size_t steps)
        : extras_(extras),
          index_lines_((extras.rows * kRowLines + steps - 1) / steps),
          value_lines_((extras.value_bytes / 64 + steps - 1) / steps),
          value_(extras.values) {}

    void next() {
      for (std::size_t i = 0; i < index_lines_; ++i, ++line_) {
        __builtin_prefetch(
            extras_.indices + line_ / kRowLines * extras_.index_stride + line_ % kRowLines * 64, 0,
            2);
      }
      for (std::size_t i = 0; i < value_lines_; ++i, value_ += 64) {
        __builtin_prefetch(value_, 0, 2);
      }
    }

   private:
    static constexpr std::size_t kRowLines = kPlaneColumns / 64;
    const PlaneExtras& extras_;
    std::size_t index_lines_;
    std::size_t value_lines_;
    std::size_t line_ = 0;
    const std::int8_t* value_;
  };

  template <std::size_t kSteps>
  static void multiply_steps(const std::int8_t* panel, const PlaneInput& x, float scale,
                             bool accumulate, float* sums, const PlaneExtras& extras) {
    if (accumulate) {
      multiply_piece<kSteps, true>(panel, x, scale, sums, extras);
    } else {
      multiply_piece<kSteps, false>(panel, x, scale, sums, extras);
    }
  }

  template <std::size_t kSteps, bool kAccumulate>
  static void multiply_piece(const std::int8_t* panel, const PlaneInput& x, float scale,
                             float* sums, const PlaneExtras& extras) {
    Made made;
    Prefetcher prefetcher(extras, x.blocks * kSteps);
    const std::int8_t* input = x.values;
    Tiles::begin();
    multiply_block<kSteps>(panel, input, made, [&](auto) { prefetcher.next(); });
    for (std::size_t block = 1; block < x.blocks; ++block) {
      input += kBlock<kSteps>;
      Floats factors;
      set_factors(x, block - 1, 256.0F * scale, factors);
      multiply_block<kSteps>(panel, input, made, [&](auto step) {
        constexpr std::size_t kFirst = kRows * step / kSteps;
        constexpr std::size_t kEnd = kRows * (step + 1) / kSteps;
        prefetcher.next();
        add_rows<kAccumulate, kFirst, kEnd>(made, factors, sums);
      });
      add_outliers(extras, input - kBlock<kSteps>, x.scales + (block - 1) * 16, sums);
      sums += kRows * 16;
    }
    Tiles::end();
    Floats factors;
    set_factors(x, x.blocks - 1, 256.0F * scale, factors);
    add_rows<kAccumulate, 0, kRows>(made, factors, sums);
    add_outliers(extras, input, x.scales + (x.blocks - 1) * 16, sums);
  }

  static void set_factors(const PlaneInput& x, std::size_t block, float scale, Floats& factors) {
    __builtin_memcpy(&factors, x.scales + block * 16, sizeof(factors));
    factors *= scale;
  }

  template <std::size_t kValue>
  struct Constant {
    constexpr operator std::size_t() const { return kValue; }  // NOLINT: it stands for the number
  };

  // All columns for one block of x; between(step) is called after every step.
  template <std::size_t kSteps, typename Between>
  static void multiply_block(const std::int8_t* panel, const std::int8_t* input, Made& made,
                             const Between& between) {
    Tiles::template zero<0>();
    Tiles::template zero<1>();
    Tiles::template zero<2>();
    Tiles::template zero<3>();
    multiply_from<0, kSteps>(panel, input, between);
    Tiles::template store<0>(made.rows[0][0], 128);
    Tiles::template store<1>(made.rows[0][1], 128);
    Tiles::template store<2>(made.rows[16][0], 128);
    Tiles::template store<3>(made.rows[16][1], 128);
  }

  template <std::size_t kStep, std::size_t kSteps, typename Between>
  static void multiply_from(const std::int8_t* panel, const std::int8_t* input,
                            const Between& between) {
    if constexpr (kStep < kSteps) {
      multiply_step(panel + kStep * 4 * kTile, input + kStep * 2 * kTile);
      between(Constant<kStep>());
      multiply_from<kStep + 1, kSteps>(panel, input, between);
    }
  }

  // 64 columns of 32 rows and of one block of x.
  static void multiply_step(const std::int8_t* weights, const std::int8_t* input) {
    Tiles::template load<4>(input, 64);
    Tiles::template load<6>(weights, 64);
    Tiles::template dot_bytes<0, 6, 4>();
    Tiles::template load<7>(weights + 2 * kTile, 64);
    Tiles::template dot_bytes<2, 7, 4>();
    Tiles::template load<5>(input + kTile, 64);
    Tiles::template dot_bytes<1, 6, 5>();
    Tiles::template dot_bytes<3, 7, 5>();
    Tiles::template load<6>(weights + kTile, 64);
    Tiles::template dot_bytes<1, 6, 4>();
    Tiles::template load<7>(weights + 3 * kTile, 64);
    Tiles::template dot_bytes<3, 7, 4>();
  }

  template <bool kAccumulate, std::size_t kFirst, std::size_t kEnd>
  static void add_rows(const Made& made, const Floats& factors, float* sums) {
    if constexpr (kFirst < kEnd) {
      Ints high;
      Ints mixed;
      Floats sum = {};
      __builtin_memcpy(&high, made.rows[kFirst][0], sizeof(high));
      __builtin_memcpy(&mixed, made.rows[kFirst][1], sizeof(mixed));
      if (kAccumulate) __builtin_memcpy(&sum, sums + kFirst * 16, sizeof(sum));
      sum += (256.0F * __builtin_convertvector(high, Floats) +
              __builtin_convertvector(mixed, Floats)) *
             factors;
      __builtin_memcpy(sums + kFirst * 16, &sum, sizeof(sum));
      add_rows<kAccumulate, kFirst + 1, kEnd>(made, factors, sums);
    }
  }

  // Of one block, while it is in the first-level cache. Four columns share 32 bits.
  static void add_outliers(const PlaneExtras& extras, const std::int8_t* input,
                           const float* x_scales, float* sums) {
    for (std::size_t i = 0; i < extras.outlier_count; ++i) {
      const PlaneOutlier& outlier = extras.outliers[i];
      const std::int8_t* at =
          input + outlier.column / 64 * 2 * kTile + outlier.column % 64 / 4 * 64;
      const int up = 24 - static_cast<int>(outlier.column % 4 * 8);
      Ints high;
      Ints low;
      Floats scales;
      Floats sum;
      __builtin_memcpy(&high, at, sizeof(high));
      __builtin_memcpy(&low, at + kTile, sizeof(low));
      __builtin_memcpy(&scales, x_scales, sizeof(scales));
      float* to = sums + outlier.row * 16;
      __builtin_memcpy(&sum, to, sizeof(sum));
      const Ints value = ((high << up) >> 24) * 256 + ((low << up) >> 24);
      sum += __builtin_convertvector(value, Floats) * (scales * outlier.delta);
      __builtin_memcpy(to, &sum, sizeof(sum));
    }
  }
};

}  // namespace helix
