#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "base/testing/expect_error.h"

namespace helix {
namespace {

using helix::testing::expect_error;

// Shares of 20,000 draws.
std::map<std::int32_t, double> draw_many(const SamplingOptions& options,
                                         const std::vector<float>& logits) {
  constexpr int kDraws = 20'000;
  Sampler sampler(options);
  std::map<std::int32_t, double> shares;
  for (int i = 0; i < kDraws; ++i) shares[sampler.choose(logits)] += 1.0 / kDraws;
  return shares;
}

TEST(SamplerTest, GreedyTakesTheLargestAndTheLowestOfEquals) {
  Sampler sampler({});
  EXPECT_EQ(sampler.choose(std::vector<float>{0.5F, 2.0F, -1.0F, 2.0F}), 1);
}

TEST(SamplerTest, NotANumberIsAnError) {
  Sampler sampler({});
  const std::vector<float> logits = {1.0F, std::numeric_limits<float>::quiet_NaN()};
  expect_error(ErrorCode::kCorruptData, "token 1", [&] { sampler.choose(logits); });
}

TEST(SamplerTest, InfinityIsAnErrorUnlessItRulesTokensOut) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const double temperature : {0.0, 1.0}) {
    Sampler sampler({.temperature = temperature});
    expect_error(ErrorCode::kCorruptData, "token 1", [&] {
      sampler.choose(std::vector<float>{0.0F, kInfinity, 0.0F});
    });
    expect_error(ErrorCode::kCorruptData, "token 0", [&] {
      sampler.choose(std::vector<float>{-kInfinity, -kInfinity});
    });
    EXPECT_EQ(sampler.choose(std::vector<float>{-kInfinity, 3.0F, -kInfinity}), 1);
  }
}

TEST(SamplerTest, TemperatureGivesTheSoftmax) {
  const std::vector<float> logits = {0.0F, 1.0F, 2.0F};
  const auto shares = draw_many({.temperature = 2.0}, logits);
  const double total = 1.0 + std::exp(0.5) + std::exp(1.0);
  EXPECT_NEAR(shares.at(0), 1.0 / total, 0.015);
  EXPECT_NEAR(shares.at(1), std::exp(0.5) / total, 0.015);
  EXPECT_NEAR(shares.at(2), std::exp(1.0) / total, 0.015);
}

TEST(SamplerTest, TopKKeepsTheMostLikely) {
  const auto shares = draw_many({.temperature = 1.0, .top_k = 2}, {1.0F, 3.0F, 2.0F, 0.0F});
  EXPECT_EQ(shares.size(), 2U);
  EXPECT_NEAR(shares.at(1), 1.0 / (1.0 + std::exp(-1.0)), 0.015);
  EXPECT_TRUE(shares.contains(2));
}

TEST(SamplerTest, TopPKeepsTheFewestThatReachIt) {
  // Probabilities 0.5, 0.3, 0.15, 0.05.
  const std::vector<float> logits = {std::log(0.05F), std::log(0.5F), std::log(0.15F),
                                     std::log(0.3F)};
  EXPECT_EQ(draw_many({.temperature = 1.0, .top_p = 0.49}, logits).size(), 1U);
  EXPECT_EQ(draw_many({.temperature = 1.0, .top_p = 0.79}, logits).size(), 2U);
  EXPECT_EQ(draw_many({.temperature = 1.0, .top_p = 0.94}, logits).size(), 3U);
  EXPECT_EQ(draw_many({.temperature = 1.0, .top_p = 1.0}, logits).size(), 4U);
}

TEST(SamplerTest, MinPIsRelativeToTheLikeliest) {
  const std::vector<float> logits = {std::log(0.05F), std::log(0.5F), std::log(0.15F),
                                     std::log(0.3F)};
  EXPECT_EQ(draw_many({.temperature = 1.0, .min_p = 0.4}, logits).size(), 2U);
  EXPECT_EQ(draw_many({.temperature = 1.0, .min_p = 0.2}, logits).size(), 3U);
}

TEST(SamplerTest, TheSeedDecides) {
  const std::vector<float> logits(50, 0.0F);
  std::vector<std::int32_t> draws[3];
  for (std::size_t run = 0; run < 3; ++run) {
    Sampler sampler({.temperature = 1.0, .seed = run / 2});
    for (int i = 0; i < 20; ++i) draws[run].push_back(sampler.choose(logits));
  }
  EXPECT_EQ(draws[0], draws[1]);
  EXPECT_NE(draws[0], draws[2]);
}

TEST(SamplerTest, RepetitionPenaltyDividesPositiveAndMultipliesNegative) {
  Sampler sampler({.repetition_penalty = 2.0});
  sampler.see_prompt(0);
  sampler.see_answer(2);
  // 3 / 2 = 1.5 against 1.6; -0.1 * 2 = -0.2.
  EXPECT_EQ(sampler.choose(std::vector<float>{3.0F, 1.6F, -0.1F}), 1);
  EXPECT_EQ(sampler.choose(std::vector<float>{-1.0F, -0.15F, -0.1F}), 1);
}

// Beyond F32 they stay in order; it is not the weights that make no sense.
TEST(SamplerTest, PenaltiesLeaveFiniteLogitsFinite) {
  for (const auto& [repetition, presence] : {std::pair(1e-38, 0.0), std::pair(1.0, -3e38)}) {
    SamplingOptions options;
    options.repetition_penalty = repetition;
    options.presence_penalty = presence;
    Sampler sampler(options);
    sampler.see_answer(1);
    EXPECT_EQ(sampler.choose(std::vector<float>{3e38F, 2e38F, 2.0F}), 1);
  }
}

TEST(SamplerTest, PresencePenaltyIsForTheAnswerOnly) {
  Sampler sampler({.presence_penalty = 1.0});
  sampler.see_prompt(0);
  EXPECT_EQ(sampler.choose(std::vector<float>{2.0F, 1.5F}), 0);
  sampler.see_answer(0);
  EXPECT_EQ(sampler.choose(std::vector<float>{2.0F, 1.5F}), 1);
}

TEST(SamplerTest, OptionsOutOfRangeAreNamed) {
  expect_error(ErrorCode::kInvalidArgument, "temperature", [] { Sampler({.temperature = -1.0}); });
  expect_error(ErrorCode::kInvalidArgument, "top_p", [] { Sampler({.top_p = 0.0}); });
  expect_error(ErrorCode::kInvalidArgument, "min_p", [] { Sampler({.min_p = 1.5}); });
  expect_error(ErrorCode::kInvalidArgument, "repetition_penalty",
               [] { Sampler({.repetition_penalty = 0.0}); });
  for (const double penalty : {1e-300, 1e300}) {
    expect_error(ErrorCode::kInvalidArgument, "repetition_penalty",
                 [&] { Sampler({.repetition_penalty = penalty}); });
  }
  expect_error(ErrorCode::kInvalidArgument, "presence_penalty",
               [] { Sampler({.presence_penalty = -1e300}); });
}

}  // namespace
}  // namespace helix
