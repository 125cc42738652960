#include <gtest/gtest.h>

#include <limits>

#include "codec/matrix_fixture.h"

namespace helix {
namespace {

EncodeOptions fraction_of(double fraction) {
  return {.outliers = {.kind = OutlierPolicy::Kind::kFraction, .fraction = fraction},
          .column_scales = ColumnScales::kNone};
}

TEST(EncodeOutliers, ExactlyAsManyAsAskedFor) {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    const OwnedMatrix matrix(60, 70, student_t5(4200, 1), dtype);
    for (const std::uint64_t count : {0U, 1U, 17U, 400U, 4199U, 4200U, 9999U}) {
      const CompressedTensor tensor = encode(matrix.view(), counted_outliers(count));
      validate(tensor, "test");  // positions strictly ascending
      EXPECT_EQ(tensor.sidecar_positions.size(), std::min<std::uint64_t>(count, 4200));
    }
    EXPECT_EQ(encode(matrix.view(), fraction_of(0.01)).sidecar_positions.size(), 42U);
    EXPECT_EQ(encode(matrix.view(), fraction_of(0.0124)).sidecar_positions.size(), 52U);
    EXPECT_EQ(encode(matrix.view(), fraction_of(1.0)).sidecar_positions.size(), 4200U);
  }
}

TEST(EncodeOutliers, StoreTheWeightItself) {
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
    const OwnedMatrix matrix(60, 70, student_t5(4200, 2), dtype);
    const CompressedTensor tensor = encode(matrix.view(), counted_outliers(50));
    const std::vector<float> decoded = decode(tensor);
    for (std::size_t i = 0; i < tensor.sidecar_positions.size(); ++i) {
      const auto position = static_cast<std::size_t>(tensor.sidecar_positions[i]);
      EXPECT_EQ(tensor.sidecar_values[i], matrix.weights[position]);
      EXPECT_EQ(decoded[position], matrix.weights[position]);
    }
  }
}

TEST(EncodeOutliers, ComeBackExactlyThroughColumnScales) {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    const OwnedMatrix matrix(400, 300, scaled_gaussian(400, 300, 0.6, false, 3), dtype);
    EncodeOptions options;
    options.outliers = {.kind = OutlierPolicy::Kind::kFraction, .fraction = 0.01};
    const CompressedTensor tensor = encode(matrix.view(), options);
    ASSERT_EQ(tensor.channel_scales.size(), 300U);
    ASSERT_EQ(tensor.sidecar_positions.size(), 1200U);
    const std::vector<float> decoded = decode(tensor);
    std::size_t inexact = 0;
    for (const std::int64_t at : tensor.sidecar_positions) {
      const auto position = static_cast<std::size_t>(at);
      const float weight = matrix.weights[position];
      inexact += decoded[position] != weight;
      EXPECT_NEAR(decoded[position], weight, std::abs(weight) * 0x1p-23);
    }
    // A BF16 weight always has an F32 product that divides back to it; an F32 weight may have none.
    if (dtype == DType::kBF16) {
      EXPECT_EQ(inexact, 0U);
    }
    EXPECT_LT(inexact, 1200U / 3);
  }
}

TEST(EncodeOutliers, AreTheLargestErrors) {
  const OwnedMatrix matrix(100, 100, student_t5(10000, 4));
  const CompressedTensor tensor = encode(matrix.view(), counted_outliers(64));
  CompressedTensor without = tensor;
  without.sidecar_positions.clear();
  without.sidecar_values.clear();
  const std::vector<float> decoded = decode(without);
  double least_taken = 1e9;
  for (const std::int64_t at : tensor.sidecar_positions) {
    const auto position = static_cast<std::size_t>(at);
    least_taken =
        std::min<double>(least_taken, std::abs(decoded[position] - matrix.weights[position]));
  }
  std::size_t larger = 0;
  for (std::size_t i = 0; i < decoded.size(); ++i) {
    larger += std::abs(decoded[i] - matrix.weights[i]) > least_taken;
  }
  EXPECT_EQ(larger, 63U);  // exact here: at most 64 values per level are told apart
}

TEST(EncodeOutliers, APartOfEqualValuesLeavesInOrderOfPosition) {
  // 40 equal weights share the largest error with two levels; the first 25 leave.
  std::vector<float> weights(400, 0.0F);
  for (std::size_t i = 0; i < 200; ++i) weights[i] = 1.0F;
  for (std::size_t i = 5; i < 400; i += 10) weights[i] = 0.6F;
  const OwnedMatrix matrix(20, 20, weights);
  EncodeOptions options = counted_outliers(25);
  options.codebook_size = 2;
  const CompressedTensor tensor = encode(matrix.view(), options);
  ASSERT_EQ(tensor.sidecar_positions.size(), 25U);
  for (std::int64_t i = 0; i < 25; ++i) EXPECT_EQ(tensor.sidecar_positions[i], 10 * i + 5);
}

TEST(EncodeOutliers, AutoTakesNoneWhereTheyDoNotPay) {
  std::vector<float> uniform(512 * 512);
  std::mt19937_64 random(5);
  std::uniform_real_distribution<float> distribution(-1.0F, 1.0F);
  for (float& value : uniform) value = distribution(random);
  EXPECT_TRUE(encode(OwnedMatrix(512, 512, uniform).view(), {}).sidecar_positions.empty());
  for (float& value : uniform) value = std::round(value * 100.0F);  // 201 values: no error at all
  EXPECT_TRUE(encode(OwnedMatrix(512, 512, uniform).view(), {}).sidecar_positions.empty());
}

TEST(EncodeOutliers, AutoKeepsNoneThatALevelGivesExactly) {
  // One value more than levels: the rarest leaves, and nothing else gains.
  std::vector<float> weights(256 * 256);
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<float>(i % 256);
  weights[40000] = 1000.5F;
  const CompressedTensor tensor = encode(OwnedMatrix(256, 256, weights).view(), {});
  EXPECT_EQ(tensor.sidecar_positions, (std::vector<std::int64_t>{40000}));
  EXPECT_EQ(decode(tensor), weights);
}

TEST(EncodeOutliers, AutoTakesTheOneThatMatters) {
  std::vector<float> uniform(128 * 100);
  std::mt19937_64 random(6);
  std::uniform_real_distribution<float> distribution(-1.0F, 1.0F);
  for (float& value : uniform) value = distribution(random);
  uniform[777] = 1e30F;
  EncodeOptions options;
  options.codebook_size = 2;  // one of two levels would go to the one weight
  const CompressedTensor tensor = encode(OwnedMatrix(128, 100, uniform).view(), options);
  EXPECT_EQ(tensor.sidecar_positions, (std::vector<std::int64_t>{777}));
}

TEST(EncodeOutliers, AutoStaysWithinItsBits) {
  for (const auto& [rows, columns] : std::vector<std::pair<std::uint64_t, std::uint64_t>>{
           {300, 1000}, {576, 576}, {384, 1536}, {1536, 384}, {512, 2048}}) {
    const OwnedMatrix matrix(rows, columns, student_t5(rows * columns, 7));
    for (const ColumnScales scales : {ColumnScales::kAuto, ColumnScales::kNone}) {
      EncodeOptions options;
      options.column_scales = scales;
      const CompressedTensor tensor = encode(matrix.view(), options);
      const double share = static_cast<double>(tensor.sidecar_positions.size()) /
                           static_cast<double>(rows * columns);
      EXPECT_GT(share, 0.0);
      EXPECT_LE(share, 0.001);
      if (share > 0.0003) {
        EXPECT_LE(measure(tensor, matrix.view()).bits_per_weight(), 8.15);
      }
    }
  }
}

TEST(EncodeOutliers, AutoTakesFewWhereTheRestIsDear) {
  const OwnedMatrix matrix(192, 576, student_t5(192 * 576, 8));
  const CompressedTensor tensor = encode(matrix.view(), {});
  ASSERT_EQ(tensor.channel_scales.size(), 576U);  // 0.24 bits with the codebook
  EXPECT_GT(tensor.sidecar_positions.size(), 0U);
  EXPECT_LE(tensor.sidecar_positions.size(), 33U);
}

TEST(EncodeOutliers, HugeWeightsDoNotSpoilTheRest) {
  const std::vector<float> clean = gaussian(512 * 256, 8);
  const OwnedMatrix alone(512, 256, clean);
  for (const float huge : {1e4F, 1e38F, -3e38F}) {
    for (const ColumnScales scales : {ColumnScales::kAuto, ColumnScales::kNone}) {
      for (const OutlierPolicy::Kind kind :
           {OutlierPolicy::Kind::kAuto, OutlierPolicy::Kind::kNone}) {
        std::vector<float> weights = clean;
        weights[12345] = huge;
        const OwnedMatrix matrix(512, 256, weights);
        const EncodeOptions options{.outliers = {.kind = kind}, .column_scales = scales};
        const CompressedTensor tensor = encode(matrix.view(), options);
        std::vector<float> decoded = decode(tensor);
        EXPECT_NEAR(decoded[12345], huge, std::abs(huge) * 0x1p-22);
        double error = 0.0;
        double norm = 0.0;
        for (std::size_t i = 0; i < clean.size(); ++i) {
          if (i == 12345 || i % 256 == 12345 % 256) continue;  // its column may be scaled down
          error += (decoded[i] - clean[i]) * (decoded[i] - clean[i]);
          norm += clean[i] * clean[i];
        }
        EXPECT_GT(10.0 * std::log10(norm / error), 43.5) << huge;
      }
    }
  }
}

}  // namespace
}  // namespace helix
