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
  // A second token with the same content replaces the first.
  void add(AddedToken token);
  // To be called once all are added; `normalizer` may be null.
  void prepare(const Normalizer* normalizer);

  const AddedToken* find(std::string_view content) const;
  const AddedToken* find(TokenId id) const;
  const std::vector<AddedToken>& all() const { return tokens_; }

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

  std::vector<AddedToken> tokens_;
  StringMap<std::size_t> by_content_;
  std::unordered_map<TokenId, std::size_t> by_id_;
  TokenMatcher raw_;
  TokenMatcher normalized_;
};

}  // namespace helix
