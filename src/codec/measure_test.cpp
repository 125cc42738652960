#include <gtest/gtest.h>

#include <limits>

#include "codec/matrix_fixture.h"
#include "helix/error.h"

namespace helix {
namespace {

TEST(Measure, DescribesWhatIsStored) {
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
    for (const std::uint32_t k : {256U, 300U}) {
      const OwnedMatrix matrix(203, 77, scaled_gaussian(203, 77, 0.4, false, 1), dtype);
      EncodeOptions options;
      options.codebook_size = k;
      options.outliers = {.kind = OutlierPolicy::Kind::kCount, .count = 9};
      const CompressedTensor tensor = encode(matrix.view(), options);
      const std::vector<float> decoded = decode(tensor);
      long double error = 0.0L;
      long double norm = 0.0L;
      long double dot = 0.0L;
      long double decoded_norm = 0.0L;
      double largest = 0.0;
      for (std::size_t i = 0; i < decoded.size(); ++i) {
        const double difference = static_cast<double>(decoded[i]) - matrix.weights[i];
        error += difference * difference;
        norm += static_cast<double>(matrix.weights[i]) * matrix.weights[i];
        dot += static_cast<double>(matrix.weights[i]) * decoded[i];
        decoded_norm += static_cast<double>(decoded[i]) * decoded[i];
        largest = std::max(largest, std::abs(difference));
      }
      const Metrics metrics = measure(tensor, matrix.view());
      EXPECT_NEAR(metrics.squared_error / static_cast<double>(error), 1.0, 1e-12);
      EXPECT_NEAR(metrics.squared_norm / static_cast<double>(norm), 1.0, 1e-12);
      EXPECT_NEAR(metrics.dot / static_cast<double>(dot), 1.0, 1e-12);
      EXPECT_NEAR(metrics.decoded_squared_norm / static_cast<double>(decoded_norm), 1.0, 1e-12);
      EXPECT_EQ(metrics.max_error, largest);
      EXPECT_EQ(metrics.weight_count, 203U * 77U);
      EXPECT_EQ(metrics.outlier_count, 9U);
      EXPECT_EQ(metrics.stored_bytes, tensor.stored_bytes());
    }
  }
}

TEST(Measure, SeesDamageToWhatIsStored) {
  const OwnedMatrix matrix(64, 64, gaussian(4096, 2));
  CompressedTensor tensor = encode(matrix.view(), {});
  const double before = measure(tensor, matrix.view()).squared_error;
  for (float& level : tensor.codebook) level += 0.01F;
  EXPECT_GT(measure(tensor, matrix.view()).squared_error, 10.0 * before);
}

TEST(Measure, Ratios) {
  Metrics metrics;
  metrics.squared_error = 1.0;
  metrics.squared_norm = 1000.0;
  metrics.decoded_squared_norm = 1000.0;
  metrics.dot = 999.5;
  metrics.weight_count = 16;
  metrics.stored_bytes = 18;
  EXPECT_DOUBLE_EQ(metrics.snr_db(), 30.0);
  EXPECT_DOUBLE_EQ(metrics.relative_squared_error(), 0.001);
  EXPECT_NEAR(metrics.cosine(), 0.9995, 1e-12);
  EXPECT_DOUBLE_EQ(metrics.bits_per_weight(), 9.0);
  const Metrics none;
  EXPECT_EQ(none.snr_db(), std::numeric_limits<double>::infinity());
  EXPECT_EQ(none.relative_squared_error(), 0.0);
  EXPECT_EQ(none.cosine(), 1.0);
  EXPECT_EQ(none.bits_per_weight(), 0.0);
}

TEST(Measure, Totals) {
  const OwnedMatrix a(40, 30, gaussian(1200, 3));
  const OwnedMatrix b(50, 20, student_t5(1000, 4));
  const Metrics first = measure(encode(a.view(), plain_options(16)), a.view());
  const Metrics second = measure(encode(b.view(), plain_options(16)), b.view());
  Metrics both = first;
  both += second;
  EXPECT_DOUBLE_EQ(both.squared_error, first.squared_error + second.squared_error);
  EXPECT_DOUBLE_EQ(both.dot, first.dot + second.dot);
  EXPECT_EQ(both.max_error, std::max(first.max_error, second.max_error));
  EXPECT_EQ(both.weight_count, 2200U);
  EXPECT_EQ(both.stored_bytes, first.stored_bytes + second.stored_bytes);
}

TEST(Measure, F64AgainstTheWeightsThemselves) {
  const std::vector<double> weights = {0.1, 0.2};
  const TensorView view{DType::kF64, {1, 2}, std::as_bytes(std::span(weights))};
  const double error = measure(encode(view, {}), view).max_error;
  EXPECT_EQ(error, std::max(std::abs(0.1F - 0.1), std::abs(0.2F - 0.2)));
}

TEST(Measure, RefusesAnotherShape) {
  const OwnedMatrix a(4, 6, gaussian(24, 5));
  const OwnedMatrix b(6, 4, gaussian(24, 5));
  try {
    measure(encode(a.view(), {}), b.view());
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
  }
}

TEST(AllFinite, EveryFloatType) {
  const auto check = [](DType dtype, std::vector<std::uint8_t> bytes) {
    const Shape shape = {bytes.size() / dtype_bytes(dtype)};
    return all_finite({dtype, shape, std::as_bytes(std::span(bytes))});
  };
  EXPECT_TRUE(check(DType::kF32, {0, 0, 0x7f, 0x7f, 0, 0, 0x80, 0}));
  EXPECT_FALSE(check(DType::kF32, {0, 0, 0x7f, 0x7f, 0, 0, 0x80, 0xff}));
  EXPECT_TRUE(check(DType::kBF16, {0x7f, 0x7f, 0, 0}));
  EXPECT_FALSE(check(DType::kBF16, {0, 0, 0x80, 0x7f}));
  EXPECT_TRUE(check(DType::kF16, {0xff, 0x7b}));
  EXPECT_FALSE(check(DType::kF16, {0, 0x7c}));
  EXPECT_TRUE(check(DType::kF64, {0, 0, 0, 0, 0, 0, 0xe0, 0x7f}));
  EXPECT_FALSE(check(DType::kF64, {0, 0, 0, 0, 0, 0, 0xf0, 0x7f}));
  EXPECT_TRUE(check(DType::kF8E4M3, {0x7e, 0x78}));  // no infinities: only all ones is NaN
  EXPECT_FALSE(check(DType::kF8E4M3, {0xff}));
  EXPECT_TRUE(check(DType::kF8E5M2, {0x7b}));
  EXPECT_FALSE(check(DType::kF8E5M2, {0x7c}));
  EXPECT_TRUE(check(DType::kU16, {0xff, 0xff}));
  EXPECT_TRUE(check(DType::kF32, {}));
}

}  // namespace
}  // namespace helix
