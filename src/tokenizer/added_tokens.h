#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/component.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/token_matcher.h"
#include "tokenizer/vocabulary.h"

namespace helix {

// A token that is looked for in the text itself, before any other step.
struct AddedToken {
  std::string content;
  TokenId id = 0;
  bool special = false;      // may be left out when decoding
  bool single_word = false;  // only where no word character touches it
  bool lstrip = false;       // takes the whitespace to its left with it
  bool rstrip = false;
  bool normalized = false;  // looked for in normalized text
  std::string written;      // what stands for it when decoding: the content, normalized if so

  // An entry of tokenizer.json's "added_tokens" or tokenizer_config.json's "added_tokens_decoder".
  static AddedToken read(const Component& component, TokenId id);
};

class AddedTokens {
 public:
  // A second token with the same content changes the first, which keeps its id and stays special.
  void add(AddedToken token);
  // As the Hugging Face libraries number it: a token of `vocabulary` has the id it has there, a new
  // one the next free id, even where its own is greater. Throws Error(kCorruptData) naming `where`
  // if that id, or the new token's own, is another token's.
  void add(AddedToken token, const Vocabulary& vocabulary, std::string_view where);
  // To be called once all are added; `normalizer` may be null.
  void prepare(const Normalizer* normalizer);

  const AddedToken* find(std::string_view content) const;
  const AddedToken* find(TokenId id) const;
  // One more than the greatest id.
  TokenId id_limit() const { return id_limit_; }

  // What text is cut into: a token, or text between tokens.
  struct Sink {
    std::function<void(TokenId)> token;
    std::function<void(std::string_view text, bool at_start)> text;
  };
  void split_raw(std::string_view text, const Sink& sink, CancelCheck& cancel) const;
  void split_normalized(std::string_view text, bool at_start, const Sink& sink,
                        CancelCheck& cancel) const;

 private:
  void split(const TokenMatcher& matcher, std::string_view text, bool at_start, const Sink& sink,
             CancelCheck& cancel) const;

  TokenId new_id(const AddedToken& token, const Vocabulary& vocabulary,
                 std::string_view where) const;

  std::vector<AddedToken> tokens_;
  StringMap<std::size_t> by_content_;
  std::unordered_map<TokenId, std::size_t> by_id_;
  TokenId id_limit_ = 0;
  TokenMatcher raw_;
  TokenMatcher normalized_;
};

}  // namespace helix
