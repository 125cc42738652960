#include "eval/token_scores.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace helix {
namespace {

TEST(TokenScoresTest, LossIsTheNegativeLogProbability) {
  // Probabilities 0.2, 0.5, 0.3, shifted.
  const std::vector<float> logits = {std::log(0.2F) + 40.0F, std::log(0.5F) + 40.0F,
                                     std::log(0.3F) + 40.0F};
  EXPECT_NEAR(token_loss(logits, 0), -std::log(0.2), 1e-5);
  EXPECT_NEAR(token_loss(logits, 1), -std::log(0.5), 1e-5);
}

TEST(TokenScoresTest, DivergenceByHand) {
  const std::vector<float> logits = {std::log(0.2F), std::log(0.5F), std::log(0.3F)};
  const std::vector<float> reference = {std::log(0.6F), std::log(0.3F), std::log(0.1F)};
  const TokenComparison result = compare_predictions(logits, reference, 2);
  const double expected =
      0.6 * std::log(0.6 / 0.2) + 0.3 * std::log(0.3 / 0.5) + 0.1 * std::log(0.1 / 0.3);
  EXPECT_NEAR(result.divergence, expected, 1e-6);
  EXPECT_NEAR(result.loss, -std::log(0.3), 1e-6);
  EXPECT_NEAR(result.reference_loss, -std::log(0.1), 1e-6);
  EXPECT_FALSE(result.same_top);
  EXPECT_EQ(compare_predictions(logits, logits, 0).divergence, 0.0);
  EXPECT_TRUE(compare_predictions(logits, logits, 0).same_top);
}

}  // namespace
}  // namespace helix
