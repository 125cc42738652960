#include "tokenizer/jinja/text_case.h"

#include <utf8proc.h>

#include <algorithm>
#include <span>

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

bool is_category(char32_t c, utf8proc_category_t category) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c)) == category;
}

struct Range {
  char32_t first;
  char32_t last;
};

bool contains(std::span<const Range> ranges, char32_t c) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const Range& range) { return c >= range.first && c <= range.last; });
}

// Unicode's Other_Uppercase and Other_Lowercase: letters of a case by their look.
constexpr Range kOtherUpper[] = {
    {0x2160, 0x216F}, {0x24B6, 0x24CF}, {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189}};
constexpr Range kOtherLower[] = {
    {0xAA, 0xAA},       {0xBA, 0xBA},       {0x2B0, 0x2B8},     {0x2C0, 0x2C1},    {0x2E0, 0x2E4},
    {0x345, 0x345},     {0x37A, 0x37A},     {0x1D2C, 0x1D6A},   {0x1D78, 0x1D78},  {0x1D9B, 0x1DBF},
    {0x2071, 0x2071},   {0x207F, 0x207F},   {0x2090, 0x209C},   {0x2170, 0x217F},  {0x24D0, 0x24E9},
    {0x2C7C, 0x2C7D},   {0xA69C, 0xA69D},   {0xA770, 0xA770},   {0xA7F8, 0xA7F9},  {0xAB5C, 0xAB5F},
    {0x10780, 0x10780}, {0x10783, 0x10785}, {0x10787, 0x107B0}, {0x107B2, 0x107BA}};

bool is_upper(char32_t c) {
  return is_category(c, UTF8PROC_CATEGORY_LU) || contains(kOtherUpper, c);
}
bool is_lower(char32_t c) {
  return is_category(c, UTF8PROC_CATEGORY_LL) || contains(kOtherLower, c);
}

bool is_cased(char32_t c) {
  return is_upper(c) || is_lower(c) || is_category(c, UTF8PROC_CATEGORY_LT);
}

// A character of the case, and none of another.
bool has_case(std::string_view text, bool (*is_wanted)(char32_t)) {
  bool cased = false;
  for (std::size_t offset = 0; offset < text.size();) {
    const char32_t c = next_code_point(text, offset);
    if (is_cased(c) && !is_wanted(c)) return false;
    cased = cased || is_wanted(c);
  }
  return cased;
}

}  // namespace

bool is_upper_text(std::string_view text) { return has_case(text, is_upper); }
bool is_lower_text(std::string_view text) { return has_case(text, is_lower); }

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
