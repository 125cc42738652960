#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tokenizer/expression_reader.h"

namespace helix {

// A set of characters that Oniguruma has a name for, in PCRE2's words.
struct CharacterSet {
  std::string inside;  // of a bracket
  bool negated = false;

  // What a bracket that holds this set lists; nothing where only a bracket of its own, [^...], can
  // say it.
  std::optional<std::string> members() const;
  // One character of the set, outside brackets.
  std::string expression() const;
};

// The set of \w outside brackets, where Oniguruma takes a few more for letters.
CharacterSet word_set();

// The set here (\s, \W, \p{Han}); nothing, and nothing taken, where there is another escape.
std::optional<CharacterSet> take_escaped_set(ExpressionReader& reader, bool in_bracket);

// The set here, within a bracket: [:alpha:]; nothing, and nothing taken, where there is none.
std::optional<CharacterSet> take_posix_set(ExpressionReader& reader);

}  // namespace helix
