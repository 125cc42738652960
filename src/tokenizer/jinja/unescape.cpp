#include <charconv>

#include "base/message.h"
#include "tokenizer/jinja/lexer.h"
#include "tokenizer/utf8.h"

namespace helix::jinja {
namespace {

// The code point that the first `count` characters write as hexadecimal digits, or octal ones.
char32_t read_digits(std::string_view text, std::size_t count, int base, const std::string& name,
                     int line) {
  const std::string_view digits = text.substr(0, count);
  std::uint32_t value = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (result.ec != std::errc() || result.ptr != digits.data() + count || value > 0x10FFFF) {
    throw_error(ErrorCode::kCorruptData, name, ", line ", line, ": a broken escape \\", digits);
  }
  if (value >= 0xD800 && value <= 0xDFFF) {
    throw_error(ErrorCode::kUnsupported, name, ", line ", line, ": escape \\", digits,
                " in a string");
  }
  return value;
}

char simple_escape(char letter) {
  switch (letter) {
    case 'n': return '\n';
    case 't': return '\t';
    case 'r': return '\r';
    case 'a': return '\a';
    case 'b': return '\b';
    case 'f': return '\f';
    case 'v': return '\v';
    case '\\':
    case '\'':
    case '"': return letter;
    default: return 0;
  }
}

std::size_t hexadecimal_digits(char letter) {
  return letter == 'x' ? 2 : letter == 'u' ? 4 : letter == 'U' ? 8 : 0;
}

std::size_t octal_digits(std::string_view text) {
  std::size_t count = 0;
  while (count < 3 && count < text.size() && text[count] >= '0' && text[count] <= '7') ++count;
  return count;
}

}  // namespace

std::string unescape(std::string_view inside, const std::string& name, int line) {
  std::string result;
  for (std::size_t i = 0; i < inside.size(); ++i) {
    if (inside[i] != '\\' || i + 1 == inside.size()) {
      result += inside[i];
      continue;
    }
    const char letter = inside[++i];
    if (const char plain = simple_escape(letter); plain != 0) {
      result += plain;
    } else if (const std::size_t count = hexadecimal_digits(letter); count > 0) {
      append_code_point(result, read_digits(inside.substr(i + 1), count, 16, name, line));
      i += count;
    } else if (const std::size_t octal = octal_digits(inside.substr(i)); octal > 0) {
      append_code_point(result, read_digits(inside.substr(i), octal, 8, name, line));
      i += octal - 1;
    } else if (letter == 'N' || (letter & 0x80) != 0) {
      throw_error(ErrorCode::kUnsupported, name, ", line ", line,
                  ": escape \\N, or a backslash before a letter beyond ASCII, in a string");
    } else if (letter != '\n') {  // a backslash at the end of a line joins the lines
      result += '\\';
      result += letter;
    }
  }
  return result;
}

}  // namespace helix::jinja
