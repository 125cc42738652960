#include "eval/token_scores.h"

#include <algorithm>

#include "kernels/softmax.h"

namespace helix {

double token_loss(std::span<const float> logits, std::int32_t token) {
  return log_sum_exp(logits) - static_cast<double>(logits[static_cast<std::size_t>(token)]);
}

TokenComparison compare_predictions(std::span<const float> logits, std::span<const float> reference,
                                    std::int32_t token) {
  const auto top_of = [](std::span<const float> x) {
    return std::max_element(x.begin(), x.end()) - x.begin();
  };
  const double log_sum = log_sum_exp(logits);
  const double reference_log_sum = log_sum_exp(reference);
  const auto index = static_cast<std::size_t>(token);
  return {.loss = log_sum - static_cast<double>(logits[index]),
          .reference_loss = reference_log_sum - static_cast<double>(reference[index]),
          .divergence = softmax_divergence(reference, reference_log_sum, logits, log_sum),
          .same_top = top_of(logits) == top_of(reference)};
}

}  // namespace helix
