#include "eval/token_scores.h"

#include <algorithm>
#include <cmath>

namespace helix {
namespace {

double log_of_sum(std::span<const float> logits, double top) {
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(logit - top);
  return top + std::log(sum);
}

}  // namespace

double token_loss(std::span<const float> logits, std::int32_t token) {
  const double top = *std::max_element(logits.begin(), logits.end());
  return log_of_sum(logits, top) - logits[static_cast<std::size_t>(token)];
}

TokenComparison compare_predictions(std::span<const float> logits, std::span<const float> reference,
                                    std::int32_t token) {
  const auto top = std::max_element(logits.begin(), logits.end());
  const auto reference_top = std::max_element(reference.begin(), reference.end());
  const double total = log_of_sum(logits, *top);
  const double reference_total = log_of_sum(reference, *reference_top);
  double sum = 0.0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double log_p = reference[i] - reference_total;
    sum += std::exp(log_p) * (log_p - (logits[i] - total));
  }
  const auto index = static_cast<std::size_t>(token);
  return {.loss = total - logits[index],
          .reference_loss = reference_total - reference[index],
          .divergence = std::max(sum, 0.0),
          .same_top = top - logits.begin() == reference_top - reference.begin()};
}

}  // namespace helix
