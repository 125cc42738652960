#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "tokenizer/cancel_check.h"
#include "tokenizer/merge_texts.h"
#include "tokenizer/vocabulary.h"

namespace helix {

// The merge rules of a BPE model: which two neighbours become one token, and which pair goes first.
class BpeMerges {
 public:
  struct Merge {
    std::uint32_t rank = 0;  // lower goes first
    TokenId merged = 0;
  };

  BpeMerges() = default;
  // `second_prefix_bytes` is how much of the right part disappears in the merged token (the length
  // of continuing_subword_prefix). Throws Error(kCorruptData) beginning with `where` for a rule
  // whose tokens are not in the vocabulary.
  BpeMerges(const MergeTexts& texts, const Vocabulary& vocabulary, std::size_t second_prefix_bytes,
            std::string_view where);

  const Merge* find(TokenId left, TokenId right) const {
    const Slot& slot = slots_[slot_of(key(left, right))];
    return slot.key == kFree ? nullptr : &slot.merge;
  }

  // Merges the neighbours in `symbols` until no rule applies; O(n log n).
  void apply(std::vector<TokenId>& symbols, CancelCheck& cancel) const;

 private:
  static constexpr std::uint64_t kFree = ~std::uint64_t{0};  // no pair: ids are not negative
  struct Slot {
    std::uint64_t key = kFree;
    Merge merge;
  };

  static std::uint64_t key(TokenId left, TokenId right) {
    return (std::uint64_t{static_cast<std::uint32_t>(left)} << 32) |
           static_cast<std::uint32_t>(right);
  }

  // The slot of a pair, or the free one where it belongs.
  std::size_t slot_of(std::uint64_t pair) const {
    const std::size_t mask = slots_.size() - 1;
    const std::uint64_t mixed = pair * 0x9E3779B97F4A7C15U;  // 2^64 / golden ratio
    std::size_t at = static_cast<std::size_t>(mixed >> 32) & mask;
    while (slots_[at].key != kFree && slots_[at].key != pair) at = (at + 1) & mask;
    return at;
  }

  void apply_to_short(std::vector<TokenId>& symbols) const;
  void apply_to_long(std::vector<TokenId>& symbols, CancelCheck& cancel) const;

  // An open hash table with at least half of its slots free; a power of two.
  std::vector<Slot> slots_ = std::vector<Slot>(2);
};

}  // namespace helix
