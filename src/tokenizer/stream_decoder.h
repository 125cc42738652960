#pragma once

#include <span>
#include <string>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace helix {

// Ids to text one at a time, in whole characters: what a token ends in the middle of is held back
// until the rest is there. The parts together are the text of all ids (bytes that never become a
// character are U+FFFD, one for each maximal part).
class StreamDecoder {
 public:
  // `context`: the ids before the first one pushed, of which no text is returned; with them a first
  // word keeps the space before it. `tokenizer` must outlive the decoder.
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special_tokens = true,
                         std::span<const TokenId> context = {});

  // The text that `id` completes; often empty.
  std::string push(TokenId id);
  // What is still held back, as U+FFFD: one, or one for each byte token. The decoder may be used on
  // afterwards.
  std::string finish();

 private:
  std::string text_of(std::span<const TokenId> ids) const;

  const Tokenizer* tokenizer_;
  bool skip_special_tokens_;
  std::vector<TokenId> window_;  // a few ids: how a token reads depends on its neighbours
  std::size_t settled_ids_ = 0;  // of the window: those whose text is out
  std::size_t sent_bytes_ = 0;   // of the text of the window
};

}  // namespace helix
