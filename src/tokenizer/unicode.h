#pragma once

#include <string>
#include <string_view>

#include "tokenizer/cancel_check.h"

namespace helix {

// Character properties and normal forms, from utf8proc. All text here is valid UTF-8.

bool is_whitespace(char32_t code_point) noexcept;       // property White_Space
bool is_numeric(char32_t code_point) noexcept;          // general category N*
bool is_punctuation(char32_t code_point) noexcept;      // general category P*
bool is_mark(char32_t code_point) noexcept;             // general category M*
bool is_nonspacing_mark(char32_t code_point) noexcept;  // general category Mn
bool is_control(char32_t code_point) noexcept;          // general categories Cc, Cf, Cs, Co
// Alphabetic, M*, Nd, Pc, Join_Control: the \w of Unicode's TR 18, Annex C.
bool is_word(char32_t code_point) noexcept;

bool is_letter(char32_t code_point) noexcept;     // general category L*
bool is_printable(char32_t code_point) noexcept;  // Python's: no C*, no Z* but the space
enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };

// Unicode normalization (UAX 15) in linearithmic time whatever the text.
std::string normalize(std::string_view text, NormalForm form, CancelCheck& cancel);

// Character by character, without context (a final sigma is a plain one).
std::string to_lowercase(std::string_view text, CancelCheck& cancel);
std::string to_uppercase(std::string_view text);
char32_t lowercase_code_point(char32_t code_point) noexcept;
char32_t uppercase_code_point(char32_t code_point) noexcept;

std::string_view trim_whitespace_left(std::string_view text) noexcept;
std::string_view trim_whitespace_right(std::string_view text) noexcept;

}  // namespace helix
