#include "kernels/cpu/amx_multiply.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <functional>

#include "helix/tensor.h"
#include "kernels/codebook_product.h"
#include "kernels/cpu/amx_planes.h"
#include "kernels/cpu/amx_split.h"
#include "kernels/cpu/kernel_table.h"
#include "kernels/kernel_test_data.h"
#include "kernels/reference/matmul_reference.h"

namespace helix {
namespace {

using kernel_test::gaussian;

// The tile unit as its manual defines it: eight tiles of 16 rows of 64 bytes; dot adds products of
// BF16 pairs to F32 sums, dot_bytes products of four signed bytes to sums of 32 bits.
struct ModelTiles {
  static thread_local inline float sums[8][16][16];
  static thread_local inline std::uint16_t pairs[8][16][32];

  template <int kTile>
  static void zero() {
    for (auto& row : sums[kTile]) std::fill(std::begin(row), std::end(row), 0.0F);
  }
  template <int kSum, int kLeft, int kRight>
  static void dot_bytes() {
    const auto* left = reinterpret_cast<const std::int8_t*>(pairs[kLeft]);
    const auto* right = reinterpret_cast<const std::int8_t*>(pairs[kRight]);
    for (std::size_t m = 0; m < 16; ++m) {
      for (std::size_t n = 0; n < 16; ++n) {
        auto sum = std::bit_cast<std::int32_t>(sums[kSum][m][n]);
        for (std::size_t k = 0; k < 64; ++k) {
          sum += left[m * 64 + k] * right[k / 4 * 64 + n * 4 + k % 4];
        }
        sums[kSum][m][n] = std::bit_cast<float>(sum);
      }
    }
  }
  static void begin() {}
  static void end() {}
  template <int kTile>
  static void load(const void* from, std::size_t stride) {
    for (std::size_t row = 0; row < 16; ++row) {
      const auto* bytes = static_cast<const std::byte*>(from) + row * stride;
      std::copy_n(bytes, 64, reinterpret_cast<std::byte*>(sums[kTile][row]));
      std::copy_n(bytes, 64, reinterpret_cast<std::byte*>(pairs[kTile][row]));
    }
  }
  template <int kTile>
  static void store(void* to, std::size_t stride) {
    for (std::size_t row = 0; row < 16; ++row) {
      std::copy_n(reinterpret_cast<const std::byte*>(sums[kTile][row]), 64,
                  static_cast<std::byte*>(to) + row * stride);
    }
  }
  template <int kSum, int kLeft, int kRight>
  static void dot() {
    for (std::size_t m = 0; m < 16; ++m) {
      for (std::size_t n = 0; n < 16; ++n) {
        for (std::size_t k = 0; k < 16; ++k) {
          for (std::size_t half = 0; half < 2; ++half) {
            sums[kSum][m][n] += bf16_to_float(pairs[kLeft][m][2 * k + half]) *
                                bf16_to_float(pairs[kRight][k][2 * n + half]);
          }
        }
      }
    }
  }
};

using Multiply =
    std::function<void(const std::uint16_t* panel, std::size_t steps, const std::uint16_t* x,
                       std::size_t batch_stride, std::size_t batch, float* tile)>;

// A product in the layouts that panels and inputs have.
void expect_product(const Multiply& multiply) {
  const std::size_t steps = 48;
  const std::size_t batch = 39;
  const std::size_t padded_batch = 64;
  const auto w = gaussian(32 * 2 * steps, 1);
  const auto x = gaussian(batch * 2 * steps, 2);
  std::vector<std::uint16_t> panel(w.size());
  std::vector<std::uint16_t> input(padded_batch * 2 * steps);
  std::vector<double> expected(batch * 32);
  for (std::size_t row = 0; row < 32; ++row) {
    for (std::size_t i = 0; i < 2 * steps; ++i) {
      panel[(i / 2 * 32 + row) * 2 + i % 2] = float_to_bf16(w[row * 2 * steps + i]);
    }
  }
  for (std::size_t n = 0; n < batch; ++n) {
    for (std::size_t i = 0; i < 2 * steps; ++i) {
      input[(i / 32 * padded_batch + n) * 32 + i % 32] = float_to_bf16(x[n * 2 * steps + i]);
      for (std::size_t row = 0; row < 32; ++row) {
        expected[n * 32 + row] += double{w[row * 2 * steps + i]} * double{x[n * 2 * steps + i]};
      }
    }
  }
  std::vector<float> tile(padded_batch * 32);
  multiply(panel.data(), steps, input.data(), padded_batch, batch, tile.data());
  EXPECT_LE(kernel_test::relative_error(tile, expected), 4e-3);
}

// The addresses and shapes of the product, on any machine.
TEST(AmxMultiply, ModelOfTheTilesGivesTheProduct) {
  expect_product(AmxMultiply<ModelTiles>::multiply);
}

TEST(AmxMultiply, EveryDotUnitGivesTheProduct) {
  for (const Isa isa : available_isas()) {
    if (kernel_table(isa).bf16_multiply != nullptr) {
      expect_product(kernel_table(isa).bf16_multiply);
    }
  }
  if (!isa_available(Isa::kAmx)) {
    GTEST_SKIP() << "this machine has no AMX tiles: only their model ran";
  }
}

// F32 products of BF16 pairs, every way a number may be cut.
template <class Tiles>
void expect_split_product(bool exact, bool accumulate) {
  const std::size_t rows = 64;
  const std::size_t columns = 32;
  const std::size_t chunks = 3;
  const std::size_t steps = 32 * chunks;
  auto a = gaussian(rows * steps, 1);
  auto b = gaussian(steps * columns, 2);
  std::vector<std::uint16_t> left(2 * a.size());
  std::vector<std::uint16_t> right(2 * b.size());
  const auto cut = [](float& value, bool whole, std::uint16_t& rounded, std::uint16_t& rest) {
    rounded = float_to_bf16(value);
    if (whole) value = bf16_to_float(rounded);
    rest = float_to_bf16(value - bf16_to_float(rounded));
  };
  for (std::size_t m = 0; m < rows; ++m) {
    for (std::size_t k = 0; k < steps; ++k) {
      const std::size_t at = ((m / 16 * chunks + k / 32) * 16 + m % 16) * 32 + k % 32;
      cut(a[m * steps + k], false, left[at], left[a.size() + at]);
    }
  }
  for (std::size_t k = 0; k < steps; ++k) {
    for (std::size_t n = 0; n < columns; ++n) {
      const std::size_t at =
          ((n / 16 * chunks + k / 32) * 16 + k % 32 / 2) * 32 + n % 16 * 2 + k % 2;
      cut(b[k * columns + n], exact, right[at], right[b.size() + at]);
    }
  }
  const std::size_t stride = columns + 16;
  auto c = gaussian(rows * stride, 3);
  std::vector<double> expected;
  for (std::size_t m = 0; m < rows; ++m) {
    for (std::size_t n = 0; n < columns; ++n) {
      double sum = accumulate ? double{c[m * stride + n]} : 0.0;
      for (std::size_t k = 0; k < steps; ++k) {
        sum += double{a[m * steps + k]} * double{b[k * columns + n]};
      }
      expected.push_back(sum);
    }
  }
  AmxSplit<Tiles>::multiply(left.data(), rows / 16, right.data(), columns / 16, exact, chunks,
                            accumulate, c.data(), stride);
  std::vector<float> found;
  for (std::size_t m = 0; m < rows; ++m) {
    found.insert(found.end(), c.begin() + m * stride, c.begin() + m * stride + columns);
  }
  EXPECT_LE(kernel_test::relative_error(found, expected), 1e-5);
}

TEST(AmxSplit, ModelOfTheTilesGivesTheProduct) {
  for (const bool exact : {false, true}) {
    for (const bool accumulate : {false, true}) expect_split_product<ModelTiles>(exact, accumulate);
  }
}

// Kernels whose codebook products are those of tiles of bytes: on their model, and on the unit.
std::vector<KernelTable> plane_kernels() {
  std::vector<KernelTable> tables;
  if (!isa_available(Isa::kAvx512Vbmi)) return tables;
  tables.push_back(kernel_table(Isa::kAvx512Vbmi));
  tables[0].plane_multiply = AmxPlanes<ModelTiles>::multiply;
  if (isa_available(Isa::kAmx)) tables.push_back(kernel_table(Isa::kAmx));
  return tables;
}

void prepare(CodebookMatrix::State& state, const KernelTable& kernels, CompressedTensor tensor) {
  state.kernels = &kernels;
  state.tensor = std::move(tensor);
  state.sidecar = make_row_sidecar(state.tensor);
  for (const float scale : state.tensor.channel_scales) {
    state.inverse_scales.push_back(1.0F / scale);
  }
  prepare_tables(state, Precision::kBf16);
  ASSERT_TRUE(state.fixed);
}

TEST(AmxPlanes, CodebookByTilesOfBytes) {
  const auto tables = plane_kernels();
  if (tables.empty()) GTEST_SKIP() << "this machine has no AVX-512 VBMI";
  for (const KernelTable& kernels : tables) {
    for (const std::uint32_t d : {1U, 2U}) {
      CodebookMatrix::State state;
      prepare(state, kernels,
              kernel_test::make_tensor({.rows = 45,
                                        .columns = 600,
                                        .vector_size = d,
                                        .sidecar = true,
                                        .channel_scales = true},
                                       11));
      state.bias = gaussian(45, 4);
      for (const std::size_t batch : {std::size_t{9}, std::size_t{19}, std::size_t{530}}) {
        const auto x = gaussian(batch * 600, 3);
        std::vector<float> y(batch * 45);
        ThreadPool pool(2);
        plane_tile_product(state, x.data(), batch, y.data(), pool);
        const auto expected = reference::codebook_matmul(state.tensor, state.bias, x, batch);
        EXPECT_LE(kernel_test::relative_error(y, expected), 4e-4) << isa_name(kernels.isa);
      }
    }
  }
}

// x is as a transformer's hidden states are: a few columns far above the others.
TEST(AmxPlanes, ColumnsFarAboveTheOthers) {
  for (const KernelTable& kernels : plane_kernels()) {
    CodebookMatrix::State state;
    prepare(state, kernels, kernel_test::make_tensor({.rows = 64, .columns = 1024}, 11));
    for (const float factor : {10.0F, 100.0F, 1000.0F}) {
      auto x = gaussian(std::size_t{32} * 1024, 3);
      for (std::size_t i = 77; i < x.size(); i += 509) x[i] *= factor;
      std::vector<float> y(std::size_t{32} * 64);
      ThreadPool pool(1);
      plane_tile_product(state, x.data(), 32, y.data(), pool);
      const auto expected = reference::codebook_matmul(state.tensor, {}, x, 32);
      EXPECT_LE(kernel_test::relative_error(y, expected), 8e-4) << factor;
    }
  }
}

TEST(AmxPlanes, GateAndUpInOneGo) {
  for (const KernelTable& kernels : plane_kernels()) {
    for (const bool scales : {false, true}) {
      const auto make = [&](std::uint32_t seed) {
        return kernel_test::make_tensor(
            {.rows = 77, .columns = 400, .sidecar = true, .channel_scales = scales}, seed);
      };
      CodebookMatrix::State gate;
      CodebookMatrix::State up;
      prepare(gate, kernels, make(11));
      prepare(up, kernels, make(21));
      for (const std::size_t batch : {std::size_t{9}, std::size_t{600}}) {
        const auto x = gaussian(batch * 400, 3);
        std::vector<float> y(batch * 77);
        std::vector<float> expected(y.size());
        std::vector<float> other(y.size());
        ThreadPool pool(3);
        plane_gated_product(gate, up, x.data(), batch, y.data(), pool);
        plane_tile_product(gate, x.data(), batch, expected.data(), pool);
        plane_tile_product(up, x.data(), batch, other.data(), pool);
        kernels.silu_multiply(expected.data(), other.data(), expected.size(), expected.data());
        EXPECT_EQ(y, expected) << isa_name(kernels.isa) << " batch " << batch;
      }
    }
  }
}

}  // namespace
}  // namespace helix
