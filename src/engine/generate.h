#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/engine.h"
#include "helix/generation.h"
#include "tokenizer/tokenizer.h"

namespace helix {

struct GenerateRequest {
  std::span<const std::int32_t> prompt = {};  // the whole text so far, not empty
  std::vector<std::int32_t> end_tokens = {};  // that end the answer
  // The answer goes on in the prompt's text, so that a first word keeps the space before it; false:
  // it is a text of its own.
  bool continues_prompt = true;
};

// Makes `sequence` read the prompt, as far as it has not already, and goes on. Without a tokenizer
// there is no text. Throws Error: kInvalidArgument (options; a prompt that is empty or does not fit
// in the context), kCancelled (then the sequence has read the prompt, or as much as before, and
// answer), and kCorruptData where the logits are not numbers.
Generation generate(Engine& engine, Sequence& sequence, const Tokenizer* tokenizer,
                    const GenerateRequest& request, const GenerateOptions& options,
                    const TextCallback& on_text = {});

}  // namespace helix
