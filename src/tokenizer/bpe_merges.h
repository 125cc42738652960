#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "tokenizer/component.h"
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
  // Reads "merges": strings "left right" or pairs ["left", "right"]. `second_prefix_bytes` is how
  // much of the right part disappears in the merged token (the length of
  // continuing_subword_prefix).
  BpeMerges(const Component& component, const Vocabulary& vocabulary,
            std::size_t second_prefix_bytes);

  const Merge* find(TokenId left, TokenId right) const {
    const auto entry = merges_.find(key(left, right));
    return entry == merges_.end() ? nullptr : &entry->second;
  }

  // Merges the neighbours in `symbols` until no rule applies; O(n log n).
  void apply(std::vector<TokenId>& symbols) const;

 private:
  struct KeyHash {
    std::size_t operator()(std::uint64_t value) const noexcept {
      value *= 0x9E3779B97F4A7C15ULL;  // 2^64 / golden ratio
      return value ^ (value >> 32);
    }
  };
  static std::uint64_t key(TokenId left, TokenId right) {
    return (std::uint64_t{static_cast<std::uint32_t>(left)} << 32) |
           static_cast<std::uint32_t>(right);
  }

  void apply_to_short(std::vector<TokenId>& symbols) const;
  void apply_to_long(std::vector<TokenId>& symbols) const;

  std::unordered_map<std::uint64_t, Merge, KeyHash> merges_;
};

}  // namespace helix
