#include "codec/level_fit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>

#include "codec/interval_costs.h"
#include "codec/optimal_partition.h"
#include "codec/reference_fit.h"
#include "helix/error.h"

namespace helix {
namespace {

struct Sample {
  std::vector<float> values;
  std::vector<double> weights;
};

// Distinct values with their summed weights, as the reference wants them.
struct Distinct {
  explicit Distinct(const Sample& sample) {
    std::map<double, double> masses;
    for (std::size_t i = 0; i < sample.values.size(); ++i) {
      if (sample.weights[i] > 0.0) masses[sample.values[i]] += sample.weights[i];
    }
    for (const auto& [value, mass] : masses) {
      values.push_back(value);
      weights.push_back(mass);
    }
  }
  // What rounding every level to F32 can add.
  double rounding_allowance() const {
    double sum = 0.0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double step = std::abs(values[i]) * 0x1p-24 + 0x1p-149;
      sum += weights[i] * step * step;
    }
    return 4.0 * sum;
  }
  std::vector<double> values;
  std::vector<double> weights;
};

void expect_optimal(const Sample& sample, std::uint32_t k) {
  const Distinct distinct(sample);
  const Codebook codebook = fit_codebook(sample.values, sample.weights, k);
  if (distinct.values.empty()) {
    EXPECT_EQ(codebook.levels, std::vector<float>{0.0F});
    return;
  }
  const auto least =
      static_cast<double>(reference_least_error(distinct.values, distinct.weights, k));
  EXPECT_LE(codebook.levels.size(), k);
  EXPECT_TRUE(std::is_sorted(codebook.levels.begin(), codebook.levels.end()));
  EXPECT_EQ(std::adjacent_find(codebook.levels.begin(), codebook.levels.end()),
            codebook.levels.end());
  EXPECT_GE(codebook.squared_error, least * (1.0 - 1e-9));
  EXPECT_LE(codebook.squared_error, least * (1.0 + 1e-9) + distinct.rounding_allowance())
      << "n = " << distinct.values.size() << ", k = " << k;
}

Sample random_sample(std::mt19937_64& random, std::size_t size, int kind) {
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform;
  Sample sample;
  for (std::size_t i = 0; i < size; ++i) {
    double value = normal(random);
    if (kind == 1) value = std::round(3.0 * value);                  // many duplicates and ties
    if (kind == 2) value = value * std::exp(12.0 * normal(random));  // many decades
    if (kind == 3) value = static_cast<double>(i);                   // evenly spaced: all tied
    if (kind == 4) value = 1000.0 + value;                           // far from zero
    if (kind == 5) value = -1.0 - 1e-5 * std::abs(value);
    sample.values.push_back(static_cast<float>(value));
    const bool is_counted = kind == 1 || kind == 3;
    const double weight = uniform(random) < 0.2 ? 0.0 : uniform(random);
    sample.weights.push_back(is_counted ? std::ceil(2.0 * weight) : weight);
  }
  return sample;
}

TEST(FitCodebook, EqualsTheReferenceOnManySmallSamples) {
  std::mt19937_64 random(1);
  for (int trial = 0; trial < 3000; ++trial) {
    const std::size_t size = random() % 40;
    const Sample sample = random_sample(random, size, trial % 6);
    expect_optimal(sample, static_cast<std::uint32_t>(2 + random() % 12));
    if (HasFailure()) FAIL() << "trial " << trial;
  }
}

TEST(FitCodebook, EqualsTheReferenceOnLargerSamples) {
  std::mt19937_64 random(2);
  for (const std::uint32_t k : {2U, 3U, 17U, 64U, 256U}) {
    for (int kind = 0; kind < 6; ++kind) expect_optimal(random_sample(random, 500, kind), k);
  }
  expect_optimal(random_sample(random, 1500, 0), 64);
}

TEST(FitCodebook, EveryNumberOfRunsOnTiedData) {
  // 60 evenly spaced values: the least error is linear in k over long stretches, so most k have no
  // penalty of their own and must be spliced.
  Sample sample;
  for (int i = 0; i < 60; ++i) sample.values.push_back(static_cast<float>(i));
  sample.weights.assign(60, 1.0);
  for (std::uint32_t k = 2; k <= 60; ++k) expect_optimal(sample, k);
}

TEST(OptimalPartition, HasExactlyTheRunsAskedForWhateverTheFirstGuess) {
  std::mt19937_64 random(3);
  for (const int kind : {0, 2, 3}) {
    const Distinct distinct(random_sample(random, 300, kind));
    const IntervalCosts costs(distinct.values, distinct.weights);
    for (const std::uint32_t runs : {1U, 2U, 5U, 50U, 199U}) {
      double none = 0.0;
      const double least = optimal_partition(costs, runs, none).cost;
      for (const double guess : {1e-300, 1e-9, 1.0, 1e9, 1e300}) {
        double penalty = guess;
        const Partition partition = optimal_partition(costs, runs, penalty);
        EXPECT_EQ(partition.run_count(), runs);
        EXPECT_NEAR(partition.cost, least, 1e-9 * least);
      }
    }
  }
}

TEST(FitCodebook, FewDistinctValuesBecomeTheLevels) {
  const std::vector<float> values = {3.0F, -0.0F, 1.0F, 3.0F, 0.0F, 1e-45F, -3e38F, 3e38F};
  const Codebook codebook = fit_codebook(values, {}, 256);
  EXPECT_EQ(codebook.levels, (std::vector<float>{-3e38F, 0.0F, 1e-45F, 1.0F, 3.0F, 3e38F}));
  EXPECT_FALSE(std::signbit(codebook.levels[1]));
  EXPECT_EQ(codebook.squared_error, 0.0);
}

TEST(FitCodebook, OneHugeValueDoesNotSpoilTheSmallOnes) {
  std::mt19937_64 random(4);
  Sample sample = random_sample(random, 400, 0);
  std::fill(sample.weights.begin(), sample.weights.end(), 1.0);
  const double alone = fit_codebook(sample.values, sample.weights, 32).squared_error;
  for (const float huge : {1e4F, 1e38F, -3e38F}) {
    Sample with = sample;
    with.values.push_back(huge);
    with.weights.push_back(1.0);
    const Codebook codebook = fit_codebook(with.values, with.weights, 33);
    EXPECT_NEAR(codebook.squared_error, alone, 1e-9 * alone) << huge;
  }
}

TEST(FitCodebook, DenormalsAndHugeValuesScale) {
  std::mt19937_64 random(5);
  Sample sample = random_sample(random, 300, 0);
  for (float& value : sample.values) value = std::round(value * 1000.0F);
  std::fill(sample.weights.begin(), sample.weights.end(), 1.0);
  const Codebook plain = fit_codebook(sample.values, sample.weights, 16);
  for (const float scale : {0x1p-149F, 0x1p110F}) {
    Sample scaled = sample;
    for (float& value : scaled.values) value *= scale;
    const Codebook codebook = fit_codebook(scaled.values, scaled.weights, 16);
    const double square = static_cast<double>(scale) * scale;
    // Levels among denormals are whole multiples of the least one.
    EXPECT_NEAR(codebook.squared_error / square, plain.squared_error,
                1e-3 * plain.squared_error + 0.25 * 300);
  }
}

TEST(FitCodebook, LevelsThatMeetInF32AreMerged) {
  const float one = 1.0F;
  const float next = std::nextafter(one, 2.0F);
  const std::vector<float> values = {one, next, 5.0F};
  EXPECT_EQ(fit_codebook(values, {}, 2).levels.size(), 2U);
  EXPECT_EQ(fit_codebook(values, {}, 3).levels.size(), 3U);
}

TEST(FitCodebook, AsFineAsFourThousandLevels) {
  std::mt19937_64 random(6);
  std::normal_distribution<float> normal;
  std::vector<float> values(65536);
  for (float& value : values) value = normal(random);
  const double fine = fit_codebook(values, {}, 4096).squared_error;
  const double coarse = fit_codebook(values, {}, 256).squared_error;
  EXPECT_LT(fine, coarse / 200.0);  // 256 in the limit of many values per level
  EXPECT_GT(fine, coarse / 500.0);
}

void expect_invalid(const std::vector<float>& values, const std::vector<double>& weights,
                    std::uint32_t k) {
  try {
    fit_codebook(values, weights, k);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << error.what();
  }
}

TEST(FitCodebook, RefusesWhatMakesNoSense) {
  expect_invalid({1.0F}, {}, 1);
  expect_invalid({1.0F}, {}, 4097);
  expect_invalid({1.0F, 2.0F}, {1.0}, 4);
  expect_invalid({std::numeric_limits<float>::quiet_NaN()}, {}, 4);
  expect_invalid({std::numeric_limits<float>::infinity()}, {}, 4);
  expect_invalid({1.0F}, {-1.0}, 4);
  expect_invalid({1.0F}, {std::numeric_limits<double>::infinity()}, 4);
}

}  // namespace
}  // namespace helix
