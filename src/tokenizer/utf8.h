#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace helix {

// One step through text that may not be UTF-8 (RFC 3629: no surrogates, nothing overlong or above
// U+10FFFF).
struct Utf8Step {
  enum class Kind { kCharacter, kInvalid, kTruncated };  // kTruncated: valid so far, the text ends
  Kind kind = Kind::kInvalid;
  std::size_t length = 0;   // bytes; of a fault, the longest part that begins a valid sequence
  char32_t code_point = 0;  // of kCharacter
};

// `offset` < text.size().
Utf8Step utf8_step(std::string_view text, std::size_t offset) noexcept;

// Throws Error(kInvalidArgument) naming `what` and the byte offset of the first fault.
void require_utf8(std::string_view text, std::string_view what);

// The code point at `offset` of valid UTF-8; moves `offset` behind it.
char32_t next_code_point(std::string_view text, std::size_t& offset) noexcept;

// Of valid UTF-8 that is not empty.
char32_t last_code_point(std::string_view text) noexcept;

void append_code_point(std::string& text, char32_t code_point);

std::u32string code_points(std::string_view valid_text);

// Every fault becomes one U+FFFD, as Python's errors="replace" and Rust's from_utf8_lossy do it.
std::string replace_invalid_utf8(std::string_view bytes);

// How many bytes at the end begin a character that is not complete: 0 to 3.
std::size_t incomplete_suffix_bytes(std::string_view bytes) noexcept;

}  // namespace helix
