#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "helix/evaluation.h"
#include "tokenizer/tokenizer.h"

namespace helix {

// Tokens that a model reads from its start, of which those from `first_scored` (at least 1) on
// count.
struct Window {
  std::size_t begin = 0;  // into ScoredText::tokens
  std::size_t end = 0;
  std::size_t first_scored = 1;  // from `begin`
};

struct ScoredText {
  std::vector<std::int32_t> tokens;
  std::vector<Window> windows;

  std::uint64_t scored_tokens() const;
  std::uint64_t computed_tokens() const;
};

// Windows over `token_count` tokens by the card protocol: as transformers' documentation has it.
std::vector<Window> overlapping_windows(std::size_t token_count, std::size_t window,
                                        std::size_t stride);
std::vector<Window> separate_windows(std::size_t token_count, std::size_t window);

// The text as `options` want it, window and stride set. Throws Error(kInvalidArgument) where
// nothing is left to score or a size makes no sense.
ScoredText plan_evaluation(std::string_view text, const Tokenizer& tokenizer,
                           const EvaluateOptions& options);

}  // namespace helix
