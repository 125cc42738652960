#include "helix/matrix.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "base/testing/expect_error.h"
#include "kernels/kernel_test_data.h"
#include "kernels/reference/matmul_reference.h"

namespace helix {
namespace {

using kernel_test::gaussian;
using kernel_test::make_tensor;
using kernel_test::relative_error;
using testing::expect_error;

constexpr std::size_t kRows = 45;
constexpr std::size_t kColumns = 130;

CompressedTensor tensor() {
  return make_tensor({.rows = kRows, .columns = kColumns, .sidecar = true, .channel_scales = true},
                     7);
}

std::vector<std::byte> bytes_of(std::span<const float> values, DType dtype) {
  std::vector<std::byte> bytes(values.size() * dtype_bytes(dtype));
  write_floats(values, dtype, bytes);
  return bytes;
}

std::vector<float> floats_of(std::span<const std::byte> bytes, DType dtype) {
  std::vector<float> values(bytes.size() / dtype_bytes(dtype));
  read_floats({dtype, {values.size()}, bytes}, 0, values);
  return values;
}

TEST(Matrix, EveryTypeAndPrecision) {
  const auto bias = gaussian(kRows, 3);
  const Matrix matrix(tensor(), bias);
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    for (const std::size_t batch : {1, 20}) {
      const auto x = bytes_of(gaussian(batch * kColumns, 4), dtype);
      const auto expected = reference::codebook_matmul(tensor(), bias, floats_of(x, dtype), batch);
      for (const Precision precision : {Precision::kF32, Precision::kBf16}) {
        std::vector<std::byte> y(batch * kRows * dtype_bytes(dtype));
        matrix.multiply({dtype, {batch, kColumns}, x}, y, {.precision = precision});
        const double rounding = dtype == DType::kF32 ? 1e-5 : dtype == DType::kF16 ? 5e-4 : 4e-3;
        const double bound = rounding + (precision == Precision::kF32 ? 0.0 : 2e-3);
        EXPECT_LE(relative_error(floats_of(y, dtype), expected), bound)
            << dtype_name(dtype) << " batch " << batch;
      }
    }
  }
}

TEST(Matrix, ArraysAtOddAddresses) {
  const Matrix matrix(tensor());
  const auto values = gaussian(3 * kColumns, 4);
  std::vector<std::byte> x(values.size() * 4 + 1);
  std::memcpy(x.data() + 1, values.data(), values.size() * 4);
  std::vector<std::byte> y(3 * kRows * 4 + 3);
  const std::span<const std::byte> from = std::span(x).subspan(1);
  matrix.multiply({DType::kF32, {3, kColumns}, from}, std::span(y).subspan(3),
                  {.precision = Precision::kF32});
  std::vector<std::byte> aligned(3 * kRows * 4);
  matrix.multiply({DType::kF32, {3, kColumns}, bytes_of(values, DType::kF32)}, aligned,
                  {.precision = Precision::kF32});
  EXPECT_TRUE(std::equal(aligned.begin(), aligned.end(), y.begin() + 3));
}

TEST(Matrix, RowsAreThoseOfTheFormat) {
  for (const std::uint32_t rank : {0U, 2U}) {
    const CompressedTensor source = make_tensor({.rows = kRows,
                                                 .columns = kColumns,
                                                 .sidecar = true,
                                                 .channel_scales = true,
                                                 .svd_rank = rank},
                                                7);
    const Matrix matrix(source);
    std::vector<float> dense(kRows * kColumns);
    decode_rows(source, 0, dense);
    std::vector<std::byte> found(dense.size() * 4);
    matrix.decode(0, kRows, DType::kF32, found);
    EXPECT_EQ(floats_of(found, DType::kF32), dense);
    const std::int64_t ids[] = {44, 0, 44};
    std::vector<std::byte> rows(3 * kColumns * 4);
    matrix.embed(ids, DType::kF32, rows);
    EXPECT_TRUE(
        std::equal(rows.begin(), rows.begin() + kColumns * 4, found.begin() + 44 * kColumns * 4));
  }
}

TEST(Matrix, TransposeIgnoresTheBias) {
  const Matrix plain(tensor());
  const Matrix biased(tensor(), gaussian(kRows, 3));
  const auto g = bytes_of(gaussian(2 * kRows, 4), DType::kF32);
  std::vector<std::byte> first(2 * kColumns * 4);
  std::vector<std::byte> second(2 * kColumns * 4);
  plain.multiply_transposed({DType::kF32, {2, kRows}, g}, first);
  biased.multiply_transposed({DType::kF32, {2, kRows}, g}, second);
  EXPECT_EQ(first, second);
}

TEST(Matrix, WrongCallsAreRefused) {
  const Matrix matrix(tensor());
  std::vector<std::byte> x(kColumns * 4);
  std::vector<std::byte> y(kRows * 4);
  const auto refused = [](const std::string& part, const auto& call) {
    expect_error(ErrorCode::kInvalidArgument, part, call);
  };
  refused("[batch, 130]", [&] { matrix.multiply({DType::kF32, {1, 129}, x}, y); });
  refused("[batch, 130]", [&] { matrix.multiply({DType::kF32, {2, kColumns}, x}, y); });
  refused("F64", [&] { matrix.multiply({DType::kF64, {1, kColumns}, x}, y); });
  refused("found 180", [&] {
    matrix.multiply({DType::kF16, {1, kColumns}, std::span(x).first(260)}, y);
  });
  refused("id -1", [&] { matrix.embed(std::vector<std::int64_t>{-1}, DType::kF32, x); });
  refused("id 45", [&] { matrix.embed(std::vector<std::int64_t>{45}, DType::kF32, x); });
  refused("[44, 46)", [&] { matrix.decode(44, 46, DType::kF32, x); });
  refused("[2, 1)", [&] { matrix.decode(2, 1, DType::kF32, x); });
  refused("bias", [] { Matrix(tensor(), {1.0F}); });
}

}  // namespace
}  // namespace helix
