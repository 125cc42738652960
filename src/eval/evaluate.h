#pragma once

#include <string_view>

#include "engine/engine.h"
#include "helix/evaluation.h"
#include "tokenizer/tokenizer.h"

namespace helix {

// Perplexity of `engine` on a text and, with `reference`, how its predictions differ from another
// model's with the same vocabulary. Throws Error: kInvalidArgument (sizes; a text too short, or not
// UTF-8; vocabularies that differ), kCorruptData where the logits are not numbers or a
// token is not in the vocabulary, kCancelled.
Evaluation evaluate(Engine& engine, Engine* reference, const Tokenizer& tokenizer,
                    std::string_view text, const EvaluateOptions& options);

}  // namespace helix
