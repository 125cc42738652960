#include "codec/column_scales.h"

#include <gtest/gtest.h>

#include "codec/matrix_fixture.h"

namespace helix {
namespace {

std::vector<float> scales_of(const OwnedMatrix& matrix) {
  const TensorView view = matrix.view();
  return choose_column_scales(view, column_squared_norms(view));
}

TEST(ColumnScales, NormsInRowOrder) {
  const OwnedMatrix matrix(3, 2, {1.0F, 2.0F, 3.0F, 4.0F, -5.0F, 0.5F});
  EXPECT_EQ(column_squared_norms(matrix.view()), (std::vector<double>{35.0, 20.25}));
  // More elements than a block, and rows that do not divide it.
  const OwnedMatrix wide(700, 13, gaussian(700 * 13, 1));
  const std::vector<double> norms = column_squared_norms(wide.view());
  for (std::size_t c = 0; c < 13; ++c) {
    double sum = 0.0;
    for (std::size_t r = 0; r < 700; ++r) {
      sum += static_cast<double>(wide.weights[r * 13 + c]) * wide.weights[r * 13 + c];
    }
    EXPECT_EQ(norms[c], sum);
  }
}

TEST(ColumnScales, AreTheInverseSquareRootOfTheNorm) {
  std::vector<float> weights(400 * 4);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    weights[i] = i % 4 == 0 ? 1.0F : i % 4 == 1 ? 4.0F : i % 4 == 2 ? -16.0F : 0.0F;
  }
  const std::vector<float> scales = scales_of(OwnedMatrix(400, 4, weights));
  ASSERT_EQ(scales.size(), 4U);
  EXPECT_EQ(scales[0], 2.0F * scales[1]);
  EXPECT_EQ(scales[1], 2.0F * scales[2]);
  EXPECT_EQ(scales[3], 1.0F);  // no norm
}

TEST(ColumnScales, AbsentWhereTheyDoNotPay) {
  EXPECT_TRUE(scales_of(OwnedMatrix(400, 64, std::vector<float>(400 * 64, 2.0F))).empty());
  EXPECT_TRUE(scales_of(OwnedMatrix(400, 512, gaussian(400 * 512, 2))).empty());
  EXPECT_TRUE(scales_of(OwnedMatrix(100, 64, scaled_gaussian(100, 64, 0.5, false, 3))).empty());
  EXPECT_TRUE(scales_of(OwnedMatrix(400, 64, std::vector<float>(400 * 64, 0.0F))).empty());
  EXPECT_FALSE(scales_of(OwnedMatrix(192, 576, scaled_gaussian(192, 576, 0.2, false, 4))).empty());
}

TEST(ColumnScales, AbsentWhereAProductCouldLeaveTheRange) {
  for (const float factor : {0x1p118F, 0x1p-120F}) {
    std::vector<float> weights = scaled_gaussian(400, 64, 0.5, false, 5);
    for (float& weight : weights) weight *= factor;
    EXPECT_TRUE(scales_of(OwnedMatrix(400, 64, weights)).empty());
  }
  std::vector<float> weights = gaussian(400 * 64, 6);
  for (std::size_t r = 0; r < 400; ++r) weights[r * 64] = 1e-30F;  // one column all but empty
  const std::vector<float> scales = scales_of(OwnedMatrix(400, 64, weights));
  EXPECT_TRUE(scales.empty());
}

TEST(ColumnScales, TheStoredFormIsTheScaledMatrix) {
  const OwnedMatrix matrix(300, 200, scaled_gaussian(300, 200, 0.8, false, 7), DType::kBF16);
  const CompressedTensor tensor = encode(matrix.view(), {});
  ASSERT_EQ(tensor.channel_scales.size(), 200U);
  std::vector<float> stored(300 * 200);
  decode_stored_rows(tensor, 0, stored);
  const std::vector<float> decoded = decode(tensor);
  for (std::size_t i = 0; i < stored.size(); ++i) {
    EXPECT_EQ(decoded[i], stored[i] / tensor.channel_scales[i % 200]);
  }
  EXPECT_GT(measure(tensor, matrix.view()).snr_db(), 40.0);
}

}  // namespace
}  // namespace helix
