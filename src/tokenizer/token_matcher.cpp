#include "tokenizer/token_matcher.h"

namespace helix {

void TokenMatcher::add(std::string_view text, std::size_t number) {
  if (text.empty()) return;
  std::uint32_t node = kRoot;
  for (const char byte : text) {
    const auto [child, is_new] = children_.try_emplace(key(node, byte), node_count_);
    if (is_new) ++node_count_;
    node = child->second;
  }
  numbers_.try_emplace(node, number);
  starts_[static_cast<unsigned char>(text[0])] = true;
  any_ = true;
}

TokenMatcher::Match TokenMatcher::longest_at(std::string_view text, std::size_t begin,
                                             CancelCheck& cancel) const {
  Match match{begin, begin, 0};
  std::uint32_t node = kRoot;
  for (std::size_t i = begin; i < text.size(); ++i) {
    cancel.step();
    const auto child = children_.find(key(node, text[i]));
    if (child == children_.end()) break;
    node = child->second;
    const auto number = numbers_.find(node);
    if (number != numbers_.end()) match = {begin, i + 1, number->second};
  }
  return match;
}

void TokenMatcher::for_each_match(std::string_view text, CancelCheck& cancel,
                                  const std::function<void(const Match&)>& found) const {
  if (!any_) return;
  for (std::size_t begin = 0; begin < text.size();) {
    if (!starts_[static_cast<unsigned char>(text[begin])]) {
      ++begin;
      continue;
    }
    const Match match = longest_at(text, begin, cancel);
    if (match.end > match.begin) {
      found(match);
      begin = match.end;
    } else {
      ++begin;
    }
  }
}

}  // namespace helix
