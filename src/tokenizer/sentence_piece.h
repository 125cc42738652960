#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tokenizer/added_tokens.h"
#include "tokenizer/token_backend.h"

namespace helix {

struct SentencePieceOptions {
  // Looked for in the text, beside the model's control and unknown pieces and those that are one of
  // `special_tokens`; all else is SentencePiece's. One with the id of a piece renames it.
  std::vector<AddedToken> added_tokens;
  std::vector<AddedToken> special_tokens;
  bool add_bos = true;
  bool add_eos = false;
  // transformers' "legacy": the space before the text comes back after every added token.
  bool prefix_every_part = true;
};

// A tokenizer.model of SentencePiece, encoded by its own library. Throws Error(kCorruptData) naming
// `file` for bytes that are no such model, and for tokens whose ids clash.
std::unique_ptr<TokenBackend> make_sentence_piece(std::string model_bytes, const std::string& file,
                                                  const SentencePieceOptions& options);

}  // namespace helix
