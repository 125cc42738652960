#include "tokenizer/jinja/text_case.h"

#include "tokenizer/unicode.h"
#include "tokenizer/utf8.h"

namespace helix::jinja {
namespace {

// Unicode's SpecialCasing: small letters whose capital is several letters.
bool has_special_capital(char32_t c) {
  return c == 0x149 || c == 0x1F0 || c == 0x390 || c == 0x3B0 || c == 0x587 ||
         (c >= 0x1E96 && c <= 0x1E9A) || (c >= 0x1F50 && c <= 0x1FFC) ||
         (c >= 0xFB00 && c <= 0xFB17);
}

// Titlecase differs from upper case for these digraphs.
bool has_special_title(char32_t c) {
  return (c >= 0x1C4 && c <= 0x1CC) || (c >= 0x1F1 && c <= 0x1F3) || (c >= 0x10D0 && c <= 0x10FF) ||
         c == 0xDF || c == 0x345 || has_special_capital(c);
}

void append_upper(Runtime& runtime, std::string& result, char32_t c) {
  if (c == 0xDF) {
    result += "SS";
    return;
  }
  if (has_special_capital(c)) runtime.unsupported("the capital of a special letter");
  append_code_point(result, uppercase_code_point(c));
}

void append_title(Runtime& runtime, std::string& result, char32_t c) {
  if (has_special_title(c)) runtime.unsupported("the title case of a special letter");
  append_code_point(result, uppercase_code_point(c));
}

void append_lower(Runtime& runtime, std::string& result, char32_t c) {
  // A sigma's small form depends on where in the word it stands.
  if (c == 0x3A3) runtime.unsupported("the lower case of a capital sigma");
  if (c == 0x130) {
    result += "i\xCC\x87";
  } else {
    append_code_point(result, lowercase_code_point(c));
  }
}

bool is_cased(char32_t c) { return lowercase_code_point(c) != c || uppercase_code_point(c) != c; }

}  // namespace

std::string upper(Runtime& runtime, std::string_view text) {
  std::string result;
  for (std::size_t offset = 0; offset < text.size();) {
    append_upper(runtime, result, next_code_point(text, offset));
  }
  return result;
}

std::string lower(Runtime& runtime, std::string_view text) {
  std::string result;
  for (std::size_t offset = 0; offset < text.size();) {
    append_lower(runtime, result, next_code_point(text, offset));
  }
  return result;
}

std::string title(Runtime& runtime, std::string_view text) {
  std::string result;
  bool in_word = false;
  for (std::size_t offset = 0; offset < text.size();) {
    const char32_t c = next_code_point(text, offset);
    if (in_word) {
      append_lower(runtime, result, c);
    } else {
      append_title(runtime, result, c);
    }
    in_word = is_cased(c);
  }
  return result;
}

std::string capitalize(Runtime& runtime, std::string_view text) {
  if (text.empty()) return "";
  std::size_t offset = 0;
  std::string result;
  append_title(runtime, result, next_code_point(text, offset));
  return result + lower(runtime, text.substr(offset));
}

}  // namespace helix::jinja
