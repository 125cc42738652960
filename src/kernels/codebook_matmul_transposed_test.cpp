#include "kernels/codebook_matmul_transposed.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "base/testing/expect_error.h"
#include "kernels/kernel_test_data.h"

namespace helix {
namespace {

using kernel_test::gaussian;
using kernel_test::make_tensor;
using kernel_test::relative_error;
using kernel_test::TensorShape;

constexpr double kBound = 1e-5;

// g * weight in F64, from the meaning of the format.
std::vector<double> expected_product(const CompressedTensor& tensor, std::span<const float> g,
                                     std::size_t batch) {
  std::vector<float> dense(tensor.rows * tensor.columns);
  decode_rows(tensor, 0, dense);
  std::vector<double> y(batch * tensor.columns);
  for (std::size_t n = 0; n < batch; ++n) {
    for (std::size_t row = 0; row < tensor.rows; ++row) {
      const double value = g[n * tensor.rows + row];
      for (std::size_t i = 0; i < tensor.columns; ++i) {
        y[n * tensor.columns + i] += value * dense[row * tensor.columns + i];
      }
    }
  }
  return y;
}

void expect_products(const TensorShape& shape) {
  const CompressedTensor tensor = make_tensor(shape, 21);
  ThreadPool pool(2);
  for (const std::size_t batch : {1, 2, 3, 9, 33}) {
    const auto g = gaussian(batch * shape.rows, 22);
    const auto expected = expected_product(tensor, g, batch);
    for (const Isa isa : available_isas()) {
      const CodebookMatrix matrix(tensor, gaussian(shape.rows, 23), {.isa = isa});
      std::vector<float> y(batch * shape.columns, std::numeric_limits<float>::quiet_NaN());
      multiply_transposed(matrix, g, batch, y, pool);
      EXPECT_LE(relative_error(y, expected), kBound)
          << isa_name(isa) << " [" << shape.rows << ", " << shape.columns << "] batch " << batch;
    }
  }
}

TEST(CodebookMatmulTransposed, WholeStrips) { expect_products({.rows = 512, .columns = 128}); }

TEST(CodebookMatmulTransposed, RowsAndColumnsThatFillNothing) {
  expect_products({.rows = 331, .columns = 37});
  expect_products({.rows = 65, .columns = 201});
  expect_products({.rows = 1, .columns = 1});
}

TEST(CodebookMatmulTransposed, OutliersAndColumnScales) {
  expect_products({.rows = 300, .columns = 145, .sidecar = true, .channel_scales = true});
}

TEST(CodebookMatmulTransposed, LowRankPart) {
  expect_products(
      {.rows = 70, .columns = 96, .sidecar = true, .channel_scales = true, .svd_rank = 5});
}

TEST(CodebookMatmulTransposed, VectorsOfTwoThreeAndFive) {
  expect_products(
      {.rows = 35, .columns = 302, .vector_size = 2, .sidecar = true, .channel_scales = true});
  expect_products({.rows = 35, .columns = 300, .vector_size = 3, .sidecar = true});
  expect_products({.rows = 35, .columns = 205, .vector_size = 5});
}

TEST(CodebookMatmulTransposed, TwelveAndSixteenBitIndices) {
  expect_products({.rows = 36,
                   .columns = 151,
                   .format = IndexFormat::kPacked12,
                   .codebook_size = 4096,
                   .sidecar = true});
  expect_products({.rows = 33, .columns = 151, .format = IndexFormat::kU16, .codebook_size = 5000});
}

TEST(CodebookMatmulTransposed, ThreadsDoNotChangeTheResult) {
  const TensorShape shape{.rows = 330, .columns = 700, .sidecar = true};
  for (const Isa isa : available_isas()) {
    const CodebookMatrix matrix(make_tensor(shape, 11), {}, {.isa = isa});
    for (const std::size_t batch : {1, 40}) {
      const auto g = gaussian(batch * 330, 3);
      std::vector<float> alone(batch * 700);
      std::vector<float> together(batch * 700);
      ThreadPool one(1);
      ThreadPool three(3);
      multiply_transposed(matrix, g, batch, alone, one);
      multiply_transposed(matrix, g, batch, together, three);
      EXPECT_EQ(alone, together) << isa_name(isa) << " batch " << batch;
    }
  }
}

TEST(CodebookMatmulTransposed, WrongSizesAreRefused) {
  const CodebookMatrix matrix(make_tensor({.rows = 4, .columns = 8}, 1));
  ThreadPool pool(1);
  std::vector<float> g(4);
  std::vector<float> y(8);
  testing::expect_error(ErrorCode::kInvalidArgument, "transpose",
                        [&] { multiply_transposed(matrix, g, 2, y, pool); });
  y.resize(9);
  testing::expect_error(ErrorCode::kInvalidArgument, "transpose",
                        [&] { multiply_transposed(matrix, g, 1, y, pool); });
}

}  // namespace
}  // namespace helix
