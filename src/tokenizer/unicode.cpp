#include "tokenizer/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <vector>

#include "base/message.h"
#include "tokenizer/utf8.h"

namespace helix {
namespace {

utf8proc_category_t category(char32_t code_point) noexcept {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code_point));
}

bool is_ascii(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
}

utf8proc_option_t options_of(NormalForm form) {
  switch (form) {
    case NormalForm::kNfc: return static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE);
    case NormalForm::kNfd: return static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE);
    case NormalForm::kNfkc:
      return static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
    case NormalForm::kNfkd: break;
  }
  return static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT);
}

std::vector<utf8proc_int32_t> decompose(std::string_view text, utf8proc_option_t options,
                                        CancelCheck& cancel) {
  constexpr utf8proc_ssize_t kLongestDecomposition = 32;
  std::vector<utf8proc_int32_t> result;
  result.reserve(text.size() + kLongestDecomposition);
  int boundary_class = 0;
  for (std::size_t offset = 0; offset < text.size();) {
    cancel.step();
    const auto code_point = static_cast<utf8proc_int32_t>(next_code_point(text, offset));
    const std::size_t size = result.size();
    result.resize(size + kLongestDecomposition);
    const utf8proc_ssize_t count = utf8proc_decompose_char(
        code_point, result.data() + size, kLongestDecomposition, options, &boundary_class);
    if (count < 0) throw_error(ErrorCode::kInternal, "Unicode decomposition failed");
    result.resize(size + static_cast<std::size_t>(std::min(count, kLongestDecomposition)));
  }
  return result;
}

// Canonical ordering. utf8proc's own sorts by insertion, quadratic on a long run of marks.
void order_marks(std::vector<utf8proc_int32_t>& text, CancelCheck& cancel) {
  const auto combining_class = [](utf8proc_int32_t c) {
    return utf8proc_get_property(c)->combining_class;
  };
  for (std::size_t begin = 0; begin < text.size();) {
    cancel.step();
    if (combining_class(text[begin]) == 0) {
      ++begin;
      continue;
    }
    std::size_t end = begin + 1;
    while (end < text.size() && combining_class(text[end]) != 0) ++end;
    std::stable_sort(text.begin() + static_cast<std::ptrdiff_t>(begin),
                     text.begin() + static_cast<std::ptrdiff_t>(end),
                     [&](auto a, auto b) { return combining_class(a) < combining_class(b); });
    begin = end;
  }
}

std::string map_code_points(std::string_view text, char32_t (*map)(char32_t)) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t offset = 0; offset < text.size();) {
    append_code_point(result, map(next_code_point(text, offset)));
  }
  return result;
}

}  // namespace

bool is_whitespace(char32_t c) noexcept {
  if (c < 0x80) return c == 0x20 || (c >= 0x09 && c <= 0x0D);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_numeric(char32_t c) noexcept {
  const auto kind = category(c);
  return kind >= UTF8PROC_CATEGORY_ND && kind <= UTF8PROC_CATEGORY_NO;
}

bool is_punctuation(char32_t c) noexcept {
  const auto kind = category(c);
  return kind >= UTF8PROC_CATEGORY_PC && kind <= UTF8PROC_CATEGORY_PO;
}

bool is_mark(char32_t c) noexcept {
  const auto kind = category(c);
  return kind >= UTF8PROC_CATEGORY_MN && kind <= UTF8PROC_CATEGORY_ME;
}

bool is_nonspacing_mark(char32_t c) noexcept { return category(c) == UTF8PROC_CATEGORY_MN; }

bool is_control(char32_t c) noexcept {
  const auto kind = category(c);
  return kind >= UTF8PROC_CATEGORY_CC && kind <= UTF8PROC_CATEGORY_CO;
}

bool is_word(char32_t c) noexcept {
  const auto kind = category(c);
  if (kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_NL) return true;  // L*, M*, Nd, Nl
  if (kind == UTF8PROC_CATEGORY_PC || c == 0x200C || c == 0x200D) return true;
  // Other_Alphabetic beyond those: enclosed letters.
  return (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
         (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
}

bool is_letter(char32_t c) noexcept {
  const auto kind = category(c);
  return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
}

bool is_printable(char32_t c) noexcept {
  const auto kind = category(c);
  return c == ' ' || (kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_SO);
}

std::string normalize(std::string_view text, NormalForm form, CancelCheck& cancel) {
  if (is_ascii(text)) return std::string(text);
  const utf8proc_option_t options = options_of(form);
  // Decomposition comes first for every form, composition afterwards.
  std::vector<utf8proc_int32_t> buffer = decompose(
      text, static_cast<utf8proc_option_t>((options & ~UTF8PROC_COMPOSE) | UTF8PROC_DECOMPOSE),
      cancel);
  order_marks(buffer, cancel);
  auto length = static_cast<utf8proc_ssize_t>(buffer.size());
  if ((options & UTF8PROC_COMPOSE) != 0) {
    length = utf8proc_normalize_utf32(
        buffer.data(), length, static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
    if (length < 0) throw_error(ErrorCode::kInternal, "Unicode composition failed");
  }
  std::string result;
  result.reserve(text.size());
  for (utf8proc_ssize_t i = 0; i < length; ++i) {
    cancel.step();
    append_code_point(result, static_cast<char32_t>(buffer[static_cast<std::size_t>(i)]));
  }
  return result;
}

char32_t lowercase_code_point(char32_t c) noexcept {
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
}

char32_t uppercase_code_point(char32_t c) noexcept {
  return static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c)));
}

std::string to_lowercase(std::string_view text, CancelCheck& cancel) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t offset = 0; offset < text.size();) {
    cancel.step();
    const char32_t c = next_code_point(text, offset);
    if (c == 0x130) {
      result += "i\xCC\x87";  // the only character whose lower case is two
    } else {
      append_code_point(result, lowercase_code_point(c));
    }
  }
  return result;
}

std::string to_uppercase(std::string_view text) {
  return map_code_points(text, [](char32_t c) { return uppercase_code_point(c); });
}

std::string_view trim_whitespace_left(std::string_view text) noexcept {
  std::size_t offset = 0;
  while (offset < text.size()) {
    std::size_t next = offset;
    if (!is_whitespace(next_code_point(text, next))) break;
    offset = next;
  }
  return text.substr(offset);
}

std::string_view trim_whitespace_right(std::string_view text) noexcept {
  while (!text.empty()) {
    std::size_t begin = text.size() - 1;
    while (begin > 0 && (text[begin] & 0xC0) == 0x80) --begin;
    std::size_t offset = begin;
    if (!is_whitespace(next_code_point(text, offset))) break;
    text = text.substr(0, begin);
  }
  return text;
}

}  // namespace helix
