#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "helix/progress.h"

namespace helix {

// Which tokens of a text are scored, and what the model sees before each.
enum class EvaluationProtocol : std::uint8_t {
  // The text is tokenised once, with the model's own special tokens. Windows of `window` tokens
  // start every `stride` tokens, each read from its start; in a window only the tokens not scored
  // before count. The published figures: 2048 and 512.
  kCard,
  // The same tokens in windows that do not overlap; the first token of a window is not scored.
  kFast,
  // The text is split at `separator`; every part, without blanks around it, is a text of its own
  // with the model's special tokens, cut at `window` tokens.
  kDocuments,
};
// "card", "fast", "documents".
const char* protocol_name(EvaluationProtocol protocol) noexcept;

struct EvaluateOptions {
  EvaluationProtocol protocol = EvaluationProtocol::kCard;
  std::size_t window = 0;                   // tokens; 0: 2048, or the context where that is shorter
  std::size_t stride = 0;                   // kCard; 0: a quarter of the window
  std::size_t max_tokens = 0;               // kCard, kFast: only the first of the text; 0: all
  std::string separator = "<|endoftext|>";  // kDocuments
  Hooks hooks = {};                         // progress counts scored tokens
};

// A model beside the one it was made from, on the same positions.
struct Comparison {
  double reference_perplexity = 0.0;
  double delta_percent = 0.0;     // of the perplexity
  double mean_divergence = 0.0;   // Kullback-Leibler, of the model from the reference, nats
  double divergence_error = 0.0;  // standard error of the mean
  double divergence_p99 = 0.0;    // 99th percentile
  double same_top_share = 0.0;    // positions with the same most likely token
};

struct Evaluation {
  EvaluationProtocol protocol = EvaluationProtocol::kCard;
  std::size_t window = 0;
  std::size_t stride = 0;
  std::uint64_t text_tokens = 0;  // of the text as it was used
  std::uint64_t scored_tokens = 0;
  std::uint64_t computed_tokens = 0;  // that the model read, all windows
  std::uint64_t window_count = 0;
  double mean_loss = 0.0;  // negative log-likelihood of a scored token, nats
  double perplexity = 0.0;
  double seconds = 0.0;
  std::optional<Comparison> comparison;
};

}  // namespace helix
