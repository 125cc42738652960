#include "kernels/dense_matmul.h"

#include <gtest/gtest.h>

#include "helix/error.h"
#include "kernels/cpu/kernel_table.h"
#include "kernels/kernel_test_data.h"
#include "kernels/reference/matmul_reference.h"

namespace helix {
namespace {

using kernel_test::gaussian;
using kernel_test::relative_error;

constexpr double kBf16Bound = 2e-3;
constexpr double kF32Bound = 1e-5;

void expect_product(std::size_t rows, std::size_t columns, DType dtype, Precision precision) {
  const auto values = gaussian(rows * columns, 1, 0.02F);
  std::vector<std::byte> bytes(values.size() * dtype_bytes(dtype) + 1);
  write_floats(values, dtype, std::span(bytes).subspan(1));
  const TensorView weight{dtype, {rows, columns}, std::span<const std::byte>(bytes).subspan(1)};
  const auto bias = gaussian(rows, 2);
  ThreadPool pool(2);
  for (const std::size_t batch : {1U, 2U, 3U, 8U, 9U, 13U, 33U, 77U}) {
    const auto x = gaussian(batch * columns, 3);
    const auto expected = reference::dense_matmul(weight, bias, x, batch);
    for (const Isa isa : available_isas()) {
      const DenseMatrix matrix(weight, bias, {.precision = precision, .isa = isa});
      std::vector<float> y(batch * rows);
      matrix.multiply(x, batch, y, pool);
      const bool exact = precision == Precision::kF32 || dtype != DType::kBF16 || batch <= 8 ||
                         kernel_table(isa).bf16_multiply == nullptr;
      EXPECT_LE(relative_error(y, expected), exact ? kF32Bound : kBf16Bound)
          << isa_name(isa) << " " << dtype_name(dtype) << " [" << rows << ", " << columns
          << "] batch " << batch;
    }
  }
}

TEST(DenseMatmul, AgreesWithF64) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    for (const Precision precision : {Precision::kF32, Precision::kBf16}) {
      expect_product(64, 512, dtype, precision);
      expect_product(37, 331, dtype, precision);
      expect_product(1, 1, dtype, precision);
    }
  }
}

TEST(DenseMatmul, WrongSizesAreRefused) {
  const std::vector<std::byte> bytes(24);
  ThreadPool pool(1);
  const TensorView view{DType::kF32, {2, 3}, bytes};
  const DenseMatrix matrix(view);
  std::vector<float> x(3);
  std::vector<float> y(3);
  EXPECT_THROW(matrix.multiply(x, 1, y, pool), Error);
  EXPECT_THROW(DenseMatrix(view, {1.0F}), Error);
  EXPECT_THROW(DenseMatrix(TensorView{DType::kF32, {6}, bytes}), Error);
  EXPECT_THROW(DenseMatrix(TensorView{DType::kF32, {2, 4}, bytes}), Error);
  EXPECT_THROW(DenseMatrix(TensorView{DType::kI32, {2, 3}, bytes}), Error);
}

}  // namespace
}  // namespace helix
