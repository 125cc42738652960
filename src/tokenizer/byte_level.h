#pragma once

#include <string>
#include <string_view>

namespace helix {

// GPT-2's alphabet: every byte is one printable character, so that a vocabulary of strings covers
// all text. Visible ASCII and Latin-1 stand for themselves, the other 68 bytes for U+0100 and
// following.
std::string bytes_to_characters(std::string_view bytes);

// The inverse, added to `bytes`. A token with a character outside the alphabet (an added token,
// say) stands for its own bytes.
void append_characters_as_bytes(std::string_view token, std::string& bytes);

}  // namespace helix
