#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace helix {

// A position in a regular expression that is being translated.
class ExpressionReader {
 public:
  ExpressionReader(std::string_view expression, std::string_view where)
      : text_(expression), where_(where) {}

  bool done() const { return at_ == text_.size(); }
  bool starts_with(std::string_view text) const { return rest().starts_with(text); }
  std::string_view rest() const { return text_.substr(at_); }

  std::string_view take(std::size_t bytes);
  bool take_if(std::string_view text);
  // The character here, which is no escape. Not at the end.
  char32_t take_character();
  // The one character that the escape here stands for (\n, \u4E2D, \x41, \[); nothing, and nothing
  // taken, where the escape is of another kind. `in_bracket`: \b and \1 are characters too.
  std::optional<char32_t> take_escaped_character(bool in_bracket);

  // Throws Error(kUnsupported).
  [[noreturn]] void refuse(std::string_view what) const;

 private:
  char32_t take_hexadecimal();
  char32_t take_digits(std::size_t begin, std::size_t count, int base);
  char32_t ascii(char32_t byte) const;

  std::string_view text_;
  std::string_view where_;
  std::size_t at_ = 0;
};

// The character as PCRE2 reads it within and outside brackets.
std::string spelled_out(char32_t character);

}  // namespace helix
