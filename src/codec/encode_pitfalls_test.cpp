#include <gtest/gtest.h>

#include <limits>

#include "codec/matrix_fixture.h"
#include "helix/error.h"

// Faults that encoders for this format have had. Each test fails on an encoder that has one.
namespace helix {
namespace {

double snr(const OwnedMatrix& matrix, const EncodeOptions& options) {
  return measure(encode(matrix.view(), options), matrix.view()).snr_db();
}

// A stop rule relative to the range ends the fit at once when one weight is far away.
TEST(EncodePitfalls, OneFarWeightDoesNotStopTheFit) {
  std::vector<float> weights = gaussian(256 * 512, 1);
  const std::vector<float> clean = weights;
  weights[4711] = 1e6F;
  const std::vector<float> decoded =
      decode(encode(OwnedMatrix(256, 512, weights).view(), plain_options()));
  double error = 0.0;
  double norm = 0.0;
  for (std::size_t i = 0; i < clean.size(); ++i) {
    if (i == 4711) continue;
    error += (decoded[i] - clean[i]) * (decoded[i] - clean[i]);
    norm += clean[i] * clean[i];
  }
  EXPECT_GT(10.0 * std::log10(norm / error), 43.5);
}

// Codes kept in one byte wrap beyond 256 levels, and the error grows instead of falling.
TEST(EncodePitfalls, CodesBeyondOneByteDoNotWrap) {
  const OwnedMatrix matrix(256, 512, gaussian(256 * 512, 2));
  double previous = snr(matrix, plain_options(256));
  for (const std::uint32_t k : {512U, 1024U, 2048U, 4096U}) {
    const double next = snr(matrix, plain_options(k));
    EXPECT_GT(next, previous + 5.5) << k;  // 6.02 dB per bit in the limit
    previous = next;
  }
}

// F16 ends at 65,504 and has ten bits of mantissa.
TEST(EncodePitfalls, OutlierValuesAreNotRoundedToHalfPrecision) {
  std::vector<float> weights = gaussian(128 * 100, 3);
  weights[5] = 1e5F;
  weights[77] = -70000.123F;
  const OwnedMatrix matrix(128, 100, weights);
  const CompressedTensor tensor = encode(matrix.view(), counted_outliers(2));
  EXPECT_EQ(tensor.sidecar_positions, (std::vector<std::int64_t>{5, 77}));
  EXPECT_EQ(tensor.sidecar_values, (std::vector<float>{1e5F, -70000.123F}));
}

// Weights below F16's range must survive too.
TEST(EncodePitfalls, TinyWeightsDoNotVanish) {
  std::vector<float> weights = gaussian(128 * 512, 4);
  for (float& weight : weights) weight *= 1e-12F;
  EXPECT_GT(snr(OwnedMatrix(128, 512, weights), plain_options()), 43.5);
}

TEST(EncodePitfalls, NotANumberIsAnError) {
  std::vector<float> weights = gaussian(100, 5);
  weights[42] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(encode(OwnedMatrix(10, 10, weights).view(), {}), Error);
}

TEST(EncodePitfalls, AShorterCodebookIsValid) {
  const OwnedMatrix matrix(10, 10, std::vector<float>(100, 0.25F));
  for (const std::uint32_t k : {256U, 512U}) {
    const CompressedTensor tensor = encode(matrix.view(), plain_options(k));
    EXPECT_EQ(tensor.codebook.size(), 1U);
    EXPECT_NO_THROW(validate(tensor, "test"));
    EXPECT_EQ(decode(tensor), matrix.weights);
  }
}

// Metrics of the encoder's own intermediate values looked perfect while the stored ones were inf.
TEST(EncodePitfalls, MetricsAreThoseOfTheStoredValues) {
  const OwnedMatrix matrix(64, 64, gaussian(4096, 6));
  CompressedTensor tensor = encode(matrix.view(), counted_outliers(3));
  tensor.sidecar_values[1] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(measure(tensor, matrix.view()).max_error, std::numeric_limits<double>::infinity());
}

}  // namespace
}  // namespace helix
