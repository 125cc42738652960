#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "tokenizer/cancel_check.h"

namespace helix {

// What a tokenizer searches text for: a literal string or a regular expression in Oniguruma's Ruby
// syntax, which is what tokenizer.json files are written in. Expressions run on PCRE2; classes and
// scripts are spelled out on the way, for the two libraries disagree about them. May be used from
// several threads.
class Pattern {
 public:
  static Pattern literal(std::string text);
  // Throws Error(kUnsupported) naming `where` for an expression that PCRE2 does not accept or that
  // means something else to Oniguruma.
  static Pattern regex(std::string_view expression, std::string_view where);

  // Calls `found(begin, end)` for every match from left to right, none overlapping. A match of an
  // expression may be empty, but not where the match before it ends. Empty text has no matches.
  // Throws Error(kInvalidArgument) where the expression needs too much work on this text.
  void for_each_match(std::string_view valid_utf8,
                      const std::function<void(std::size_t, std::size_t)>& found) const;

  // `cancel` may be null.
  std::string replace_all(std::string_view valid_utf8, std::string_view replacement,
                          CancelCheck* cancel = nullptr) const;

 private:
  struct Compiled;
  std::string literal_;
  std::shared_ptr<const Compiled> compiled_;  // null for a literal
};

// The expression as PCRE2 must read it. Throws Error(kUnsupported) naming `where`.
std::string translate_oniguruma(std::string_view expression, std::string_view where);

}  // namespace helix
