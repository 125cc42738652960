#pragma once

#include <algorithm>
#include <string_view>
#include <tuple>
#include <vector>

#include "tokenizer/cancel_check.h"
#include "tokenizer/vocabulary.h"

namespace helix {

// Finds the tokens that a text begins with. Sorted tokens stand in for a tree: those that share a
// beginning are one range, and every byte of the text narrows it.
class PrefixSearch {
 public:
  // Refers to the strings of `vocabulary`, which must stay.
  explicit PrefixSearch(const Vocabulary& vocabulary);

  // `found(size, id)` for every token that `text` begins with, the shortest first. Looks no further
  // than where no longer token can follow.
  template <typename Found>
  void for_each(std::string_view text, CancelCheck& cancel, const Found& found) const {
    auto first = tokens_.begin();
    auto last = tokens_.end();
    for (std::size_t i = 0; i < text.size(); ++i) {
      cancel.step();
      const auto byte = static_cast<unsigned char>(text[i]);
      std::tie(first, last) = std::equal_range(first, last, byte, Less{i});
      if (first == last) return;
      if (first->text.size() == i + 1) {
        found(i + 1, first->id);
        ++first;
      }
    }
  }

 private:
  struct Token {
    std::string_view text;
    TokenId id;
    unsigned char byte(std::size_t i) const { return static_cast<unsigned char>(text[i]); }
  };
  // Order by one byte.
  struct Less {
    std::size_t i;
    bool operator()(const Token& a, unsigned char b) const { return a.byte(i) < b; }
    bool operator()(unsigned char a, const Token& b) const { return a < b.byte(i); }
  };
  std::vector<Token> tokens_;  // sorted by text, none empty
};

}  // namespace helix
