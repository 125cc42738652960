// Norm, softmax, activation, residual and embedding against plain F64 loops.

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "helix/error.h"
#include "kernels/embedding.h"
#include "kernels/isa.h"
#include "kernels/kernel_test_data.h"
#include "kernels/rms_norm.h"
#include "kernels/softmax.h"
#include "kernels/swiglu.h"

namespace helix {
namespace {

using kernel_test::gaussian;
using kernel_test::relative_error;

constexpr double kEpsilon = std::numeric_limits<float>::epsilon();
constexpr std::size_t kSizes[] = {1, 3, 8, 15, 16, 33, 64, 577, 2048};
constexpr float kInfinity = std::numeric_limits<float>::infinity();

template <typename Test>
void on_every_isa(const Test& test) {
  for (const Isa isa : available_isas()) {
    SCOPED_TRACE(isa_name(isa));
    const IsaOverride with(isa);
    test();
  }
}

TEST(RmsNorm, AgreesWithF64) {
  on_every_isa([] {
    for (const std::size_t size : kSizes) {
      const auto x = gaussian(3 * size, 1, 4.0F);
      const auto weight = gaussian(size, 2);
      std::vector<double> expected(3 * size);
      for (std::size_t row = 0; row < 3; ++row) {
        double sum = 0.0;
        for (std::size_t i = 0; i < size; ++i) sum += std::pow(double{x[row * size + i]}, 2.0);
        for (std::size_t i = 0; i < size; ++i) {
          expected[row * size + i] = double{weight[i]} * double{x[row * size + i]} /
                                     std::sqrt(sum / static_cast<double>(size) + 1e-5);
        }
      }
      std::vector<float> out(3 * size);
      rms_norm(x, weight, 1e-5F, out);
      EXPECT_LE(relative_error(out, expected), 8 * kEpsilon) << size;
    }
  });
  std::vector<float> x(5);
  EXPECT_THROW(rms_norm(x, gaussian(2, 1), 0.0F, x), Error);
}

TEST(Softmax, AgreesWithF64) {
  on_every_isa([] {
    for (const std::size_t size : kSizes) {
      auto x = gaussian(size, 3, 6.0F);
      if (size > 8) x[4] = -kInfinity;
      const float top = *std::max_element(x.begin(), x.end());
      double sum = 0.0;
      for (const float value : x) sum += std::exp(double{value} - double{top});
      std::vector<float> out(size);
      softmax(x, out);
      for (std::size_t i = 0; i < size; ++i) {
        EXPECT_NEAR(out[i], std::exp(double{x[i]} - double{top}) / sum, 1e-6) << size;
      }
      const double total = double{top} + std::log(sum);
      EXPECT_NEAR(log_sum_exp(x), total, 1e-13) << size;
      auto other = gaussian(size, 4, 6.0F);
      double divergence = 0.0;
      for (std::size_t i = 0; i < size; ++i) {
        const double share = std::exp(double{x[i]} - total);
        if (share > 0.0)
          divergence += share * (double{x[i]} - total - other[i] + log_sum_exp(other));
      }
      EXPECT_NEAR(softmax_divergence(x, total, other, log_sum_exp(other)), divergence, 1e-13)
          << size;
      EXPECT_EQ(softmax_divergence(x, total, x, total), 0.0);
    }
  });
  EXPECT_THROW(log_sum_exp({}), Error);
  EXPECT_THROW(softmax_divergence(gaussian(2, 1), 0.0, gaussian(3, 1), 0.0), Error);
}

// The F64 exponential over its whole range, element by element.
TEST(Softmax, SmallSharesOfADivergenceKeepTheirRelativeError) {
  on_every_isa([] {
    for (float x = -707.0F; x < 0.0F; x += 0.73F) {
      const std::vector<float> reference = {0.0F, x};
      const std::vector<float> other = {0.0F, 2.0F * x};
      const double expected = std::exp(double{x}) * double{-x};
      EXPECT_NEAR(softmax_divergence(reference, 0.0, other, 0.0) / expected, 1.0, 2e-15) << x;
    }
  });
}

// The exponential over its whole range, element by element.
TEST(Softmax, SmallWeightsKeepTheirRelativeError) {
  on_every_isa([] {
    for (float x = -86.0F; x < 0.0F; x += 0.37F) {
      std::vector<float> pair = {0.0F, x};
      softmax(pair, pair);
      const double expected = std::exp(double{x}) / (1.0 + std::exp(double{x}));
      EXPECT_NEAR(pair[1] / expected, 1.0, 6 * kEpsilon) << x;
    }
  });
}

TEST(Softmax, NotANumberShows) {
  on_every_isa([] {
    std::vector<float> x(40, 1.0F);
    x[17] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_TRUE(std::isnan(log_sum_exp(x)));
    for (const std::uint32_t bits : {0x7fc00000U, 0x7fc00001U, 0x7fffffffU, 0xffc00003U}) {
      x[17] = std::bit_cast<float>(bits);
      std::vector<float> shares(40);
      softmax(x, shares);
      EXPECT_TRUE(std::isnan(shares[17])) << bits;
    }
    EXPECT_TRUE(std::isnan(softmax_divergence(std::vector<float>(40, 1.0F), 1.0, x, 1.0)));
    EXPECT_TRUE(std::isnan(softmax_divergence(x, 1.0, std::vector<float>(40, 1.0F), 1.0)));
  });
}

TEST(SiluMultiply, AgreesWithF64) {
  on_every_isa([] {
    for (const std::size_t size : kSizes) {
      auto gate = gaussian(size, 4, 5.0F);
      gate[0] = -100.0F;
      if (size > 2) gate[1] = 100.0F;
      const auto up = gaussian(size, 5);
      std::vector<float> out(size);
      silu_multiply(gate, up, out);
      for (std::size_t i = 0; i < size; ++i) {
        const double expected = double{gate[i]} / (1.0 + std::exp(-double{gate[i]})) * up[i];
        EXPECT_NEAR(out[i], expected, 8 * kEpsilon * std::fabs(expected) + 1e-35) << gate[i];
      }
    }
  });
  std::vector<float> x(5);
  EXPECT_THROW(silu_multiply(x, gaussian(4, 1), x), Error);
}

TEST(Add, AddsInPlace) {
  on_every_isa([] {
    const auto x = gaussian(37, 6);
    auto sum = gaussian(37, 7);
    const auto before = sum;
    add(x, sum);
    for (std::size_t i = 0; i < 37; ++i) EXPECT_EQ(sum[i], before[i] + x[i]);
  });
}

TEST(Embed, GivesExactRows) {
  const auto values = gaussian(10 * 6, 8);
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    std::vector<std::byte> bytes(values.size() * dtype_bytes(dtype) + 1);
    write_floats(values, dtype, std::span(bytes).subspan(1));
    const TensorView table{dtype, {10, 6}, std::span<const std::byte>(bytes).subspan(1)};
    const std::vector<std::uint32_t> ids = {9, 0, 9, 4};
    std::vector<float> out(4 * 6);
    embed(table, ids, out);
    for (std::size_t i = 0; i < out.size(); ++i) {
      float expected = 0.0F;
      read_floats(table, ids[i / 6] * 6 + i % 6, std::span(&expected, 1));
      EXPECT_EQ(out[i], expected);
    }
    const std::vector<std::uint32_t> beyond = {10};
    EXPECT_THROW(embed(table, beyond, std::span(out).first(6)), Error);
    EXPECT_THROW(embed(table, ids, std::span(out).first(6)), Error);
  }
}

TEST(Embed, DecodesCompressedRows) {
  const CompressedTensor table = kernel_test::make_tensor(
      {.rows = 12, .columns = 40, .sidecar = true, .channel_scales = true}, 9);
  const std::vector<std::uint32_t> ids = {11, 3};
  std::vector<float> out(2 * 40);
  std::vector<float> expected(2 * 40);
  embed(table, ids, out);
  decode_rows(table, 11, std::span(expected).first(40));
  decode_rows(table, 3, std::span(expected).last(40));
  EXPECT_EQ(out, expected);
}

}  // namespace
}  // namespace helix
