#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/cancel_check.h"
#include "tokenizer/component.h"
#include "tokenizer/vocabulary.h"

namespace helix {

// Pieces met before in the text being encoded. One per call of encode: models are shared by
// threads, caches are not.
class WordCache {
 public:
  // Null where the word is not known yet.
  const std::vector<TokenId>* find(std::string_view word) const;
  void store(std::string_view word, std::vector<TokenId> ids);

 private:
  StringMap<std::vector<TokenId>> words_;
};

// Turns one piece of text into tokens. Immutable; may be used from several threads.
class TokenModel {
 public:
  explicit TokenModel(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}
  virtual ~TokenModel() = default;

  const Vocabulary& vocabulary() const { return vocabulary_; }
  // Adds the ids of `piece` to `ids`.
  virtual void encode(std::string_view piece, WordCache& cache, std::vector<TokenId>& ids,
                      CancelCheck& cancel) const = 0;

 private:
  Vocabulary vocabulary_;
};

// The "model" of tokenizer.json: BPE, Unigram or WordPiece. Throws Error(kUnsupported |
// kCorruptData).
std::unique_ptr<TokenModel> make_token_model(const SortedJson& json, const std::string& where,
                                             TokenTables tables);

std::unique_ptr<TokenModel> make_bpe_model(const Component& component, TokenTables tables);
std::unique_ptr<TokenModel> make_unigram_model(const Component& component);
std::unique_ptr<TokenModel> make_word_piece_model(const Component& component, TokenTables tables);

// "<0x0A>": the token that stands for a byte no other token covers.
std::string byte_token(unsigned char byte);

}  // namespace helix
