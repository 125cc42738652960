#include <gtest/gtest.h>

#include "codec/matrix_fixture.h"

// Distortion, bounded from both sides: what is better than the theory allows is a fault of the
// measurement. The bounds leave room for the sample: its few largest values move the optimum by 0.1
// dB and more. High-resolution theory gives a Gaussian 6.02 * 8 - 4.35 = 43.8 dB for 256 levels;
// finite samples gain a little, since levels far out serve few values.
namespace helix {
namespace {

double plain_snr(const std::vector<float>& weights, DType dtype = DType::kF32,
                 std::uint32_t k = 256) {
  const OwnedMatrix matrix(512, 2048, weights, dtype);
  return measure(encode(matrix.view(), plain_options(k)), matrix.view()).snr_db();
}

constexpr std::size_t kCount = 512 * 2048;

TEST(EncodeQuality, Gaussian) {
  const double snr = plain_snr(gaussian(kCount, 11));
  EXPECT_GE(snr, 43.85);
  EXPECT_LE(snr, 44.0);
}

TEST(EncodeQuality, RowsOfDifferentScale) {
  const double snr = plain_snr(scaled_gaussian(512, 2048, 0.35, true, 12));
  EXPECT_GE(snr, 41.9);
  EXPECT_LE(snr, 42.6);
}

TEST(EncodeQuality, HeavyTails) {
  const double snr = plain_snr(student_t5(kCount, 13));
  EXPECT_GE(snr, 40.8);
  EXPECT_LE(snr, 41.4);
}

// The histogram of F32 weights against the optimum over all distinct values.
TEST(EncodeQuality, TheHistogramCostsLessThanAHundredthOfADecibel) {
  const std::vector<std::vector<float>> samples = {gaussian(200 * 1000, 14),
                                                   scaled_gaussian(200, 1000, 0.35, true, 15),
                                                   student_t5(200 * 1000, 16)};
  for (const std::vector<float>& weights : samples) {
    const OwnedMatrix matrix(200, 1000, weights);
    const Metrics metrics = measure(encode(matrix.view(), plain_options()), matrix.view());
    const double least = fit_codebook(weights, {}, 256).squared_error;
    EXPECT_GE(metrics.squared_error, least * (1.0 - 1e-9));
    EXPECT_LE(10.0 * std::log10(metrics.squared_error / least), 0.01);
  }
}

TEST(EncodeQuality, FourThousandLevelsAreFarBetterThan256) {
  const std::vector<float> weights = gaussian(kCount, 17);
  for (const DType dtype : {DType::kF32, DType::kF16}) {
    const double gain = plain_snr(weights, dtype, 4096) - plain_snr(weights, dtype, 256);
    EXPECT_GE(gain, 23.0);  // 24.1 in the limit
    EXPECT_LE(gain, dtype == DType::kF16 ? 40.0 : 25.0);
  }
}

TEST(EncodeQuality, OutliersHelpOnHeavyTailsWithinTheirPrice) {
  const OwnedMatrix matrix(512, 2048, student_t5(kCount, 18));
  EncodeOptions options = plain_options();
  const Metrics none = measure(encode(matrix.view(), options), matrix.view());
  options.outliers.kind = OutlierPolicy::Kind::kAuto;
  const Metrics automatic = measure(encode(matrix.view(), options), matrix.view());
  const double bits = automatic.bits_per_weight() - none.bits_per_weight();
  EXPECT_GT(automatic.snr_db() - none.snr_db(), 6.02 * bits + 0.8);
  EXPECT_LE(bits, 0.0961);
}

TEST(EncodeQuality, JointChoiceBeatsRemovingTheLargestMagnitudes) {
  const OwnedMatrix matrix(512, 512, student_t5(512 * 512, 19));
  constexpr std::size_t kOutliers = 500;
  const double joint =
      measure(encode(matrix.view(), counted_outliers(kOutliers)), matrix.view()).squared_error;
  std::vector<float> rest = matrix.weights;
  std::sort(rest.begin(), rest.end(), [](float a, float b) { return std::abs(a) < std::abs(b); });
  rest.resize(rest.size() - kOutliers);
  EXPECT_LE(joint, 1.001 * fit_codebook(rest, {}, 256).squared_error);
}

TEST(EncodeQuality, DefaultsOnColumnsOfDifferentScale) {
  const OwnedMatrix matrix(576, 1536, scaled_gaussian(576, 1536, 0.3, false, 20), DType::kBF16);
  const CompressedTensor tensor = encode(matrix.view(), {});
  const Metrics metrics = measure(tensor, matrix.view());
  EXPECT_FALSE(tensor.channel_scales.empty());
  EXPECT_GE(metrics.snr_db(), 43.0);
  EXPECT_LE(metrics.snr_db(), 45.0);
  EXPECT_LE(metrics.bits_per_weight(), 8.15);
}

}  // namespace
}  // namespace helix
