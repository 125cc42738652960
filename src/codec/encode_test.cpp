#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <thread>

#include "codec/matrix_fixture.h"
#include "helix/error.h"

namespace helix {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;

// Brute force: every index names a nearest level, the lower of two equally near ones.
void expect_nearest(const CompressedTensor& tensor, const std::vector<float>& stored) {
  const std::vector<std::uint16_t> indices = all_indices(tensor);
  const std::set<std::int64_t> outliers(tensor.sidecar_positions.begin(),
                                        tensor.sidecar_positions.end());
  for (std::size_t i = 0; i < stored.size(); ++i) {
    std::size_t best = 0;
    for (std::size_t level = 1; level < tensor.codebook.size(); ++level) {
      const auto distance = [&](std::size_t at) {
        return std::abs(static_cast<long double>(stored[i]) - tensor.codebook[at]);
      };
      if (distance(level) < distance(best)) best = level;
    }
    ASSERT_EQ(indices[i], best) << "element " << i << " = " << stored[i];
  }
}

TEST(Encode, EveryIndexIsTheNearestLevel) {
  for (const std::uint32_t k : {2U, 7U, 256U, 1000U}) {
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
      const OwnedMatrix matrix(37, 54, student_t5(37 * 54, k), dtype);
      const CompressedTensor tensor = encode(matrix.view(), plain_options(k));
      validate(tensor, "test");
      expect_nearest(tensor, matrix.weights);
    }
  }
}

TEST(Encode, ReachesTheExactOptimumFor16BitWeights) {
  for (const DType dtype : {DType::kBF16, DType::kF16}) {
    const OwnedMatrix matrix(256, 300, gaussian(256 * 300, 3), dtype);
    const CompressedTensor tensor = encode(matrix.view(), plain_options());
    const Codebook optimum = fit_codebook(matrix.weights, {}, 256);
    EXPECT_EQ(tensor.codebook, optimum.levels);
    EXPECT_NEAR(measure(tensor, matrix.view()).squared_error, optimum.squared_error,
                1e-9 * optimum.squared_error);
  }
}

TEST(Encode, FewDistinctWeightsHaveNoError) {
  // 256 neighbouring floats: they share every upper bit a histogram could look at.
  std::vector<float> values;
  std::uint32_t bits = 0x3f800000U;
  for (int i = 0; i < 256; ++i) values.push_back(std::bit_cast<float>(bits++));
  std::vector<float> weights;
  for (int copy = 0; copy < 300; ++copy)
    weights.insert(weights.end(), values.begin(), values.end());
  const OwnedMatrix matrix(300, 256, weights);
  const CompressedTensor tensor = encode(matrix.view(), {});
  EXPECT_EQ(tensor.codebook, values);
  EXPECT_TRUE(tensor.sidecar_positions.empty());
  EXPECT_EQ(decode(tensor), matrix.weights);
}

TEST(Encode, DegenerateShapesAndValues) {
  const std::vector<std::pair<std::uint64_t, std::uint64_t>> shapes = {
      {0, 5}, {5, 0}, {0, 0}, {1, 1}, {1, 700}, {700, 1}, {3, 3}};
  for (const auto& [rows, columns] : shapes) {
    for (const float value : {0.0F, -0.0F, 1.5F, 1e-45F, -3e38F}) {
      for (const std::uint32_t k : {2U, 256U, 4096U}) {
        const OwnedMatrix matrix(rows, columns, std::vector<float>(rows * columns, value));
        EncodeOptions options;
        options.codebook_size = k;
        const CompressedTensor tensor = encode(matrix.view(), options);
        validate(tensor, "test");
        EXPECT_EQ(tensor.codebook, std::vector<float>{rows * columns == 0 ? 0.0F : value});
        EXPECT_EQ(decode(tensor), matrix.weights);
        EXPECT_EQ(measure(tensor, matrix.view()).squared_error, 0.0);
      }
    }
  }
}

TEST(Encode, NegativeZeroIsZero) {
  const OwnedMatrix matrix(2, 2, {0.0F, -0.0F, -0.0F, 1.0F}, DType::kBF16);
  const CompressedTensor tensor = encode(matrix.view(), plain_options());
  ASSERT_EQ(tensor.codebook.size(), 2U);
  EXPECT_FALSE(std::signbit(tensor.codebook[0]));
  EXPECT_EQ(all_indices(tensor), (std::vector<std::uint16_t>{0, 0, 0, 1}));
}

TEST(Encode, Denormals) {
  std::vector<float> weights;
  for (int i = -300; i < 300; ++i) weights.push_back(static_cast<float>(i) * 0x1p-149F);
  const OwnedMatrix matrix(20, 30, weights);
  const CompressedTensor tensor = encode(matrix.view(), {});
  validate(tensor, "test");
  // 256 levels for 600 neighbours: at most one step off.
  EXPECT_LE(measure(tensor, matrix.view()).max_error, 0x1p-148);
}

TEST(Encode, IndexFormatFollowsTheSizeAskedFor) {
  const OwnedMatrix even(6, 5, gaussian(30, 1));
  const OwnedMatrix odd(5, 5, gaussian(25, 1));
  EXPECT_EQ(encode(even.view(), plain_options(256)).index_format, IndexFormat::kU8);
  EXPECT_EQ(encode(even.view(), plain_options(257)).index_format, IndexFormat::kPacked12);
  EXPECT_EQ(encode(odd.view(), plain_options(257)).index_format, IndexFormat::kU16);
  EXPECT_EQ(decode(encode(even.view(), plain_options(257))), even.weights);
  EXPECT_EQ(decode(encode(odd.view(), plain_options(257))), odd.weights);
}

TEST(Encode, PackedPairsSpanBlocksOfOddLength) {
  // With column scales blocks are rows; 201 columns make every other pair span two of them.
  const OwnedMatrix matrix(400, 201, scaled_gaussian(400, 201, 0.5, false, 4));
  EncodeOptions options;
  options.codebook_size = 512;
  const CompressedTensor tensor = encode(matrix.view(), options);
  ASSERT_FALSE(tensor.channel_scales.empty());
  ASSERT_EQ(tensor.index_format, IndexFormat::kPacked12);
  validate(tensor, "test");
  EXPECT_GT(measure(tensor, matrix.view()).snr_db(), 48.0);
}

TEST(Encode, F64IsRoundedToF32First) {
  const std::vector<double> weights = {0.1, 0.2, 1e-60, -0.1};
  const auto bytes = std::as_bytes(std::span(weights));
  const TensorView view{DType::kF64, {2, 2}, bytes};
  EXPECT_EQ(decode(encode(view, {})), (std::vector<float>{0.1F, 0.2F, 0.0F, -0.1F}));
}

ErrorCode code_of(const TensorView& view, const EncodeOptions& options, const char* text) {
  try {
    encode(view, options);
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr(text));
    return error.code();
  }
  ADD_FAILURE() << "accepted";
  return ErrorCode::kInternal;
}

TEST(Encode, RefusesNonFiniteWeightsByRowAndColumn) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity()}) {
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
      std::vector<float> weights = gaussian(7 * 9, 5);
      weights[5 * 9 + 3] = bad;
      const OwnedMatrix matrix(7, 9, weights, dtype);
      for (const EncodeOptions& options : {EncodeOptions{}, plain_options()}) {
        EXPECT_EQ(code_of(matrix.view(), options, "row 5, column 3"), ErrorCode::kUnsupported);
      }
    }
  }
  const std::vector<double> too_large = {1.0, 1e300};
  const TensorView view{DType::kF64, {2, 1}, std::as_bytes(std::span(too_large))};
  EXPECT_EQ(code_of(view, {}, "row 1, column 0"), ErrorCode::kUnsupported);
}

TEST(Encode, RefusesOtherRanksTypesAndOptions) {
  const std::vector<float> weights(8, 1.0F);
  const auto bytes = std::as_bytes(std::span(weights));
  EXPECT_EQ(code_of({DType::kF32, {8}, bytes}, {}, "[8]"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of({DType::kF32, {2, 2, 2}, bytes}, {}, "[2, 2, 2]"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of({DType::kF32, {2, 5}, bytes}, {}, "bytes"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of({DType::kI32, {2, 4}, bytes}, {}, "I32"), ErrorCode::kUnsupported);
  EXPECT_EQ(code_of({DType::kI32, {0, 4}, {}}, {}, "I32"), ErrorCode::kUnsupported);
  EncodeOptions options;
  options.codebook_size = 1;
  EXPECT_EQ(code_of({DType::kF32, {2, 4}, bytes}, options, "1"), ErrorCode::kInvalidArgument);
  options.codebook_size = 4097;
  EXPECT_EQ(code_of({DType::kF32, {2, 4}, bytes}, options, "4097"), ErrorCode::kInvalidArgument);
  options = {};
  options.outliers = {.kind = OutlierPolicy::Kind::kFraction, .fraction = 1.5};
  EXPECT_EQ(code_of({DType::kF32, {2, 4}, bytes}, options, "1.5"), ErrorCode::kInvalidArgument);
}

TEST(Encode, TheSameBytesFromManyThreads) {
  const OwnedMatrix matrix(512, 400, scaled_gaussian(512, 400, 0.3, false, 6));
  const CompressedTensor alone = encode(matrix.view(), {});
  std::vector<CompressedTensor> results(4);
  std::vector<std::thread> threads;
  for (CompressedTensor& result : results) {
    threads.emplace_back([&] { result = encode(matrix.view(), {}); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const CompressedTensor& result : results) EXPECT_TRUE(same_bytes(alone, result));
}

TEST(Encode, UnalignedInput) {
  const OwnedMatrix matrix(40, 50, gaussian(2000, 7));
  std::vector<std::byte> shifted(matrix.bytes.size() + 1);
  std::copy(matrix.bytes.begin(), matrix.bytes.end(), shifted.begin() + 1);
  const TensorView view{DType::kF32, {40, 50}, std::span(shifted).subspan(1)};
  EXPECT_TRUE(same_bytes(encode(view, {}), encode(matrix.view(), {})));
}

}  // namespace
}  // namespace helix
