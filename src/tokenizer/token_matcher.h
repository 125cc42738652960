#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/cancel_check.h"

namespace helix {

// Finds the strings of a fixed set in text: from left to right, the longest where several begin.
class TokenMatcher {
 public:
  // `number` is what `found` is told; of the same text the first one's. An empty text is none.
  void add(std::string_view text, std::size_t number);
  bool empty() const { return !any_; }

  struct Match {
    std::size_t begin = 0;
    std::size_t end = 0;
    std::size_t number = 0;
  };
  void for_each_match(std::string_view text, CancelCheck& cancel,
                      const std::function<void(const Match&)>& found) const;

 private:
  static constexpr std::uint32_t kRoot = 0;
  static std::uint64_t key(std::uint32_t node, char byte) {
    return (std::uint64_t{node} << 8) | static_cast<unsigned char>(byte);
  }
  // The longest match that begins at `begin`; empty where there is none.
  Match longest_at(std::string_view text, std::size_t begin, CancelCheck& cancel) const;

  std::unordered_map<std::uint64_t, std::uint32_t> children_;
  std::unordered_map<std::uint32_t, std::size_t> numbers_;  // of the nodes where a string ends
  std::array<bool, 256> starts_{};
  std::uint32_t node_count_ = 1;
  bool any_ = false;
};

}  // namespace helix
