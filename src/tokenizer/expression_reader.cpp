#include "tokenizer/expression_reader.h"

#include <algorithm>
#include <charconv>

#include "base/message.h"
#include "tokenizer/utf8.h"

namespace helix {
namespace {

constexpr std::string_view kOctal = "01234567";
constexpr std::string_view kHexadecimal = "0123456789abcdefABCDEF";

// How many of the first `most` characters of `text` are `digits`.
std::size_t count_digits(std::string_view text, std::string_view digits, std::size_t most) {
  const std::string_view head = text.substr(0, most);
  return std::min(head.find_first_not_of(digits), head.size());
}

std::optional<char32_t> control_character(char letter) {
  switch (letter) {
    case 'a': return U'\a';
    case 'e': return U'\x1B';
    case 'f': return U'\f';
    case 'n': return U'\n';
    case 'r': return U'\r';
    case 't': return U'\t';
    case 'v': return U'\v';  // any vertical space to PCRE2
    default: return std::nullopt;
  }
}

bool is_letter_or_digit(char c) {
  return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

}  // namespace

std::string_view ExpressionReader::take(std::size_t bytes) {
  const std::string_view taken = text_.substr(at_, bytes);
  at_ += taken.size();
  return taken;
}

bool ExpressionReader::take_if(std::string_view text) {
  const bool here = starts_with(text);
  if (here) at_ += text.size();
  return here;
}

char32_t ExpressionReader::take_character() { return next_code_point(text_, at_); }

std::optional<char32_t> ExpressionReader::take_escaped_character(bool in_bracket) {
  if (rest().size() < 2) refuse("a backslash at its end");
  const char letter = rest()[1];
  std::optional<char32_t> control = control_character(letter);
  if (in_bracket && letter == 'b') control = U'\b';
  if (control) {
    take(2);
    return control;
  }
  if (letter == 'x') return take_hexadecimal();
  if (letter == 'u') return take_digits(2, count_digits(rest().substr(2), kHexadecimal, 4), 16);
  if (letter == '0' || (in_bracket && kOctal.find(letter) != kOctal.npos)) {
    return ascii(take_digits(1, count_digits(rest().substr(1), kOctal, 3), 8));
  }
  if (is_letter_or_digit(letter)) return std::nullopt;
  take(1);
  return take_character();
}

char32_t ExpressionReader::take_hexadecimal() {
  if (!starts_with("\\x{")) {
    return ascii(take_digits(2, count_digits(rest().substr(2), kHexadecimal, 2), 16));
  }
  const char32_t value = take_digits(3, count_digits(rest().substr(3), kHexadecimal, 8), 16);
  if (!take_if("}")) refuse("more than one number in \\x{}");
  return value;
}

char32_t ExpressionReader::take_digits(std::size_t begin, std::size_t count, int base) {
  if (count == 0) refuse(concat(rest().substr(0, begin), " without a number"));
  std::uint32_t value = 0;
  const char* first = rest().data() + begin;
  std::from_chars(first, first + count, value, base);
  take(begin + count);
  return value;
}

// To Oniguruma \x and octal numbers are bytes, from 0x80 on parts of characters.
char32_t ExpressionReader::ascii(char32_t byte) const {
  if (byte > 0x7F) refuse("a byte above 7F; \\x{...} is a character");
  return byte;
}

void ExpressionReader::refuse(std::string_view what) const {
  throw_error(ErrorCode::kUnsupported, where_, ": regular expression \"", text_, "\" uses ", what);
}

std::string spelled_out(char32_t character) {
  char digits[8];
  const auto end =
      std::to_chars(digits, digits + sizeof digits, static_cast<std::uint32_t>(character), 16);
  return concat("\\x{", std::string_view(digits, end.ptr), "}");
}

}  // namespace helix
