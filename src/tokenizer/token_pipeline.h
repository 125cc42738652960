#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/post_processor.h"
#include "tokenizer/token_backend.h"
#include "tokenizer/token_decoder.h"
#include "tokenizer/tokenizer_settings.h"

namespace helix {

// The pipeline of a tokenizer.json: added tokens, normalizer, pre-tokenizer, model, special tokens
// around, and the decoder back. Throws Error(kUnsupported) naming the part that is not known,
// Error(kCorruptData) for JSON of the wrong form and for tokens whose ids clash. The tokens of
// `settings` come on top of the file's own.
// Truncation and padding written in the file are not applied: they belong to the caller.
std::unique_ptr<TokenBackend> make_token_pipeline(TokenizerJson json, const std::string& file,
                                                  const TokenizerSettings& settings);

}  // namespace helix
