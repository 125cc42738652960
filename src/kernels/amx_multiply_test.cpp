#include "kernels/cpu/amx_multiply.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <functional>

#include "helix/tensor.h"
#include "kernels/codebook_product.h"
#include "kernels/cpu/amx_planes.h"
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

// A codebook matrix by tiles of bytes: on the unit, and on its model.
TEST(AmxPlanes, CodebookByTilesOfBytes) {
  if (!isa_available(Isa::kAvx512Vbmi)) GTEST_SKIP() << "this machine has no AVX-512 VBMI";
  KernelTable model = kernel_table(Isa::kAvx512Vbmi);
  model.plane_multiply = AmxPlanes<ModelTiles>::multiply;
  std::vector<const KernelTable*> tables = {&model};
  if (isa_available(Isa::kAmx)) tables.push_back(&kernel_table(Isa::kAmx));
  for (const KernelTable* kernels : tables) {
    for (const std::uint32_t d : {1U, 2U}) {
      CodebookMatrix::State state;
      state.kernels = kernels;
      state.tensor = kernel_test::make_tensor(
          {.rows = 45, .columns = 600, .vector_size = d, .sidecar = true, .channel_scales = true},
          11);
      state.bias = gaussian(45, 4);
      state.sidecar = make_row_sidecar(state.tensor);
      for (const float scale : state.tensor.channel_scales) {
        state.inverse_scales.push_back(1.0F / scale);
      }
      prepare_tables(state, Precision::kBf16);
      ASSERT_TRUE(state.fixed);
      for (const std::size_t batch : {std::size_t{9}, std::size_t{19}, std::size_t{530}}) {
        const auto x = gaussian(batch * 600, 3);
        std::vector<float> y(batch * 45);
        ThreadPool pool(2);
        plane_tile_product(state, x.data(), batch, y.data(), pool);
        const auto expected = reference::codebook_matmul(state.tensor, state.bias, x, batch);
        EXPECT_LE(kernel_test::relative_error(y, expected), 4e-4) << isa_name(kernels->isa);
      }
    }
  }
}

}  // namespace
}  // namespace helix
