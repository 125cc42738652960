#include "tokenizer/bert_normalizer.h"

#include "tokenizer/unicode.h"
#include "tokenizer/utf8.h"

namespace helix {
namespace {

bool is_chinese(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
         (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

// Maps `c` to what cleaning leaves of it; false where that is nothing.
bool clean(char32_t& c) {
  if (c == 0 || c == 0xFFFD) return false;
  const bool line = c == '\t' || c == '\n' || c == '\r';
  if (!line && is_control(c)) return false;
  if (line || is_whitespace(c)) c = ' ';
  return true;
}

std::string without_nonspacing_marks(std::string_view text, CancelCheck& cancel) {
  const std::string decomposed = normalize(text, NormalForm::kNfd, cancel);
  std::string result;
  for (std::size_t offset = 0; offset < decomposed.size();) {
    cancel.step();
    const char32_t c = next_code_point(decomposed, offset);
    if (!is_nonspacing_mark(c)) append_code_point(result, c);
  }
  return result;
}

}  // namespace

std::string normalize_bert(std::string_view text, const BertNormalization& options,
                           CancelCheck& cancel) {
  std::string result;
  for (std::size_t offset = 0; offset < text.size();) {
    cancel.step();
    char32_t c = next_code_point(text, offset);
    if (options.clean_text && !clean(c)) continue;
    const bool spaced = options.space_chinese_characters && is_chinese(c);
    if (spaced) result += ' ';
    append_code_point(result, c);
    if (spaced) result += ' ';
  }
  if (options.strip_accents) result = without_nonspacing_marks(result, cancel);
  if (options.lowercase) result = to_lowercase(result, cancel);
  return result;
}

}  // namespace helix
