#include "tokenizer/byte_level.h"

#include <array>

#include "tokenizer/utf8.h"

namespace helix {
namespace {

constexpr int kAlphabetEnd = 0x100 + 68;

bool is_visible(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) ||
         (byte >= 0xAE && byte <= 0xFF);
}

struct Alphabet {
  std::array<std::string, 256> character_of_byte;
  std::array<int, kAlphabetEnd> byte_of_character;  // -1: not in the alphabet

  Alphabet() {
    byte_of_character.fill(-1);
    int next_substitute = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      const int character = is_visible(byte) ? byte : next_substitute++;
      append_code_point(character_of_byte[static_cast<std::size_t>(byte)],
                        static_cast<char32_t>(character));
      byte_of_character[static_cast<std::size_t>(character)] = byte;
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet instance;
  return instance;
}

}  // namespace

std::string bytes_to_characters(std::string_view bytes) {
  const Alphabet& table = alphabet();
  std::string result;
  result.reserve(bytes.size() + bytes.size() / 4);
  for (const char byte : bytes) {
    result += table.character_of_byte[static_cast<unsigned char>(byte)];
  }
  return result;
}

void append_characters_as_bytes(std::string_view token, std::string& bytes) {
  const Alphabet& table = alphabet();
  const std::size_t size = bytes.size();
  for (std::size_t offset = 0; offset < token.size();) {
    const char32_t c = next_code_point(token, offset);
    const int byte = c < kAlphabetEnd ? table.byte_of_character[c] : -1;
    if (byte < 0) {
      bytes.resize(size);
      bytes += token;
      return;
    }
    bytes += static_cast<char>(byte);
  }
}

}  // namespace helix
