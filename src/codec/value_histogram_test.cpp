#include "codec/value_histogram.h"

#include <gtest/gtest.h>

#include <map>
#include <numeric>

#include "codec/cube_root.h"
#include "codec/matrix_fixture.h"

namespace helix {
namespace {

double total(const std::vector<double>& counts) {
  return std::accumulate(counts.begin(), counts.end(), 0.0);
}

// Every element lies in exactly one point's range, counts agree, values are the means.
void expect_describes(const ValueHistogram& histogram, const std::vector<float>& weights) {
  std::vector<double> counts(histogram.size(), 0.0);
  std::vector<double> sums(histogram.size(), 0.0);
  for (const float weight : weights) {
    const auto at = static_cast<std::size_t>(
        std::lower_bound(histogram.highs.begin(), histogram.highs.end(), weight) -
        histogram.highs.begin());
    ASSERT_LT(at, histogram.size());
    ASSERT_LE(histogram.lows[at], weight);
    counts[at] += 1.0;
    sums[at] += weight;
  }
  EXPECT_EQ(counts, histogram.counts);
  for (std::size_t i = 0; i < histogram.size(); ++i) {
    EXPECT_NEAR(histogram.values[i], sums[i] / counts[i], 1e-12 * std::abs(histogram.values[i]));
    if (i > 0) {
      EXPECT_LT(histogram.values[i - 1], histogram.values[i]);
      EXPECT_LT(histogram.highs[i - 1], histogram.lows[i]);
    }
  }
}

TEST(ValueHistogram, ExactWhereValuesAreFew) {
  const std::vector<float> weights = {3.0F, -1.0F, 3.0F, 0.0F, -0.0F, 1e-45F};
  const OwnedMatrix matrix(2, 3, weights);
  const TensorView view = matrix.view();
  const ValueHistogram histogram = make_histogram(MatrixBlocks(view, {}), 256, 5);
  EXPECT_EQ(histogram.values, (std::vector<double>{-1.0, 0.0, 1e-45F, 3.0}));
  EXPECT_EQ(histogram.counts, (std::vector<double>{1.0, 2.0, 1.0, 2.0}));
}

TEST(ValueHistogram, BinsHoldCountAndMean) {
  const OwnedMatrix matrix(300, 400, gaussian(120000, 1));
  const TensorView view = matrix.view();
  for (const std::uint32_t k : {256U, 4096U}) {
    const ValueHistogram histogram = make_histogram(MatrixBlocks(view, {}), k, 1000);
    EXPECT_GT(histogram.size(), 10000U);
    EXPECT_LT(histogram.size(), 120000U);
    expect_describes(histogram, matrix.weights);
  }
}

TEST(ValueHistogram, SixteenBitTypesAreExactWithoutALimit) {
  for (const DType dtype : {DType::kBF16, DType::kF16}) {
    const OwnedMatrix matrix(300, 400, gaussian(120000, 2), dtype);
    const TensorView view = matrix.view();
    const ValueHistogram histogram = make_histogram(MatrixBlocks(view, {}), 256, 0);
    std::map<float, double> expected;
    for (const float weight : matrix.weights) expected[weight] += 1.0;
    ASSERT_EQ(histogram.size(), expected.size());
    std::size_t i = 0;
    for (const auto& [value, count] : expected) {
      EXPECT_EQ(histogram.values[i], value);
      EXPECT_EQ(histogram.counts[i++], count);
    }
  }
}

TEST(ValueHistogram, ScalesApplyPerColumn) {
  const OwnedMatrix matrix(2, 2, {1.0F, 2.0F, 3.0F, 4.0F}, DType::kBF16);
  const TensorView view = matrix.view();
  const std::vector<float> scales = {2.0F, 0.5F};
  const ValueHistogram histogram = make_histogram(MatrixBlocks(view, scales), 256, 10);
  EXPECT_EQ(histogram.values, (std::vector<double>{1.0, 2.0, 6.0}));
  EXPECT_EQ(histogram.counts, (std::vector<double>{1.0, 2.0, 1.0}));
}

TEST(Coarsen, KeepsEverythingInFewerPoints) {
  const OwnedMatrix matrix(300, 400, student_t5(120000, 3));
  const TensorView view = matrix.view();
  const ValueHistogram fine = make_histogram(MatrixBlocks(view, {}), 256, 1000);
  const ValueHistogram coarse = coarsen(fine, 2000);
  EXPECT_LE(coarse.size(), 2100U);
  EXPECT_GE(coarse.size(), 1500U);
  expect_describes(coarse, matrix.weights);
  EXPECT_EQ(coarsen(fine, fine.size()).size(), fine.size());
}

TEST(Coarsen, ValuesFarAwayDoNotUseUpThePoints) {
  std::vector<float> weights = gaussian(120000, 4);
  weights[5] = 1e38F;
  weights[6] = -1e30F;
  weights[7] = 1e10F;
  const OwnedMatrix matrix(300, 400, weights);
  const TensorView view = matrix.view();
  const ValueHistogram coarse = coarsen(make_histogram(MatrixBlocks(view, {}), 256, 1000), 2000);
  EXPECT_GE(coarse.size(), 1500U);
  EXPECT_EQ(coarse.counts.back(), 1.0);
  EXPECT_EQ(coarse.counts.front(), 1.0);
  EXPECT_EQ(total(coarse.counts), 120000.0);
}

TEST(CubeRoot, AllMagnitudes) {
  EXPECT_EQ(cube_root(0.0), 0.0);
  for (double x = 1e-300; x < 1e300; x *= 1.7) {
    EXPECT_NEAR(cube_root(x) / std::cbrt(x), 1.0, 1e-9) << x;
  }
}

}  // namespace
}  // namespace helix
