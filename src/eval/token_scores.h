#pragma once

#include <cstdint>
#include <span>

namespace helix {

// -log softmax(logits)[token], in F64.
double token_loss(std::span<const float> logits, std::int32_t token);

struct TokenComparison {
  double loss = 0.0;
  double reference_loss = 0.0;
  double divergence = 0.0;  // sum p_reference * log(p_reference / p), never negative
  bool same_top = false;
};

// Both predictions of one token, in F64.
TokenComparison compare_predictions(std::span<const float> logits, std::span<const float> reference,
                                    std::int32_t token);

}  // namespace helix
