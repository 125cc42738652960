#include "tokenizer/utf8.h"

#include "base/message.h"

namespace helix {
namespace {

struct LeadByte {
  std::size_t length = 0;  // 0: not a lead byte
  unsigned char second_low = 0x80;
  unsigned char second_high = 0xBF;
};

// Table 3-7 of the Unicode Standard, "Well-Formed UTF-8 Byte Sequences".
LeadByte lead_byte(unsigned char byte) noexcept {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {};
}

}  // namespace

Utf8Step utf8_step(std::string_view text, std::size_t offset) noexcept {
  const auto byte_at = [&](std::size_t i) { return static_cast<unsigned char>(text[offset + i]); };
  const unsigned char first = byte_at(0);
  const LeadByte lead = lead_byte(first);
  if (lead.length == 0) return {Utf8Step::Kind::kInvalid, 1, 0};
  if (lead.length == 1) return {Utf8Step::Kind::kCharacter, 1, first};
  char32_t value = first & (0xFFU >> (lead.length + 1));
  for (std::size_t i = 1; i < lead.length; ++i) {
    if (offset + i == text.size()) return {Utf8Step::Kind::kTruncated, i, 0};
    const unsigned char low = i == 1 ? lead.second_low : 0x80;
    const unsigned char high = i == 1 ? lead.second_high : 0xBF;
    if (byte_at(i) < low || byte_at(i) > high) return {Utf8Step::Kind::kInvalid, i, 0};
    value = (value << 6) | (byte_at(i) & 0x3FU);
  }
  return {Utf8Step::Kind::kCharacter, lead.length, value};
}

void require_utf8(std::string_view text, std::string_view what) {
  for (std::size_t offset = 0; offset < text.size();) {
    const Utf8Step step = utf8_step(text, offset);
    if (step.kind != Utf8Step::Kind::kCharacter) {
      throw_error(ErrorCode::kInvalidArgument, what, " is not UTF-8: bad byte sequence at offset ",
                  offset);
    }
    offset += step.length;
  }
}

char32_t next_code_point(std::string_view text, std::size_t& offset) noexcept {
  const Utf8Step step = utf8_step(text, offset);
  offset += step.length;
  return step.code_point;
}

char32_t last_code_point(std::string_view text) noexcept {
  std::size_t begin = text.size() - 1;
  while (begin > 0 && (text[begin] & 0xC0) == 0x80) --begin;
  return next_code_point(text, begin);
}

void append_code_point(std::string& text, char32_t code_point) {
  const auto tail = [&](int shift) {
    text += static_cast<char>(0x80 | ((code_point >> shift) & 0x3F));
  };
  if (code_point < 0x80) {
    text += static_cast<char>(code_point);
  } else if (code_point < 0x800) {
    text += static_cast<char>(0xC0 | (code_point >> 6));
    tail(0);
  } else if (code_point < 0x10000) {
    text += static_cast<char>(0xE0 | (code_point >> 12));
    tail(6);
    tail(0);
  } else {
    text += static_cast<char>(0xF0 | (code_point >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

std::u32string code_points(std::string_view valid_text) {
  std::u32string result;
  result.reserve(valid_text.size());
  for (std::size_t offset = 0; offset < valid_text.size();) {
    result += next_code_point(valid_text, offset);
  }
  return result;
}

std::string replace_invalid_utf8(std::string_view bytes) {
  std::string result;
  result.reserve(bytes.size());
  for (std::size_t offset = 0; offset < bytes.size();) {
    const Utf8Step step = utf8_step(bytes, offset);
    if (step.kind == Utf8Step::Kind::kCharacter) {
      result += bytes.substr(offset, step.length);
    } else {
      append_code_point(result, 0xFFFD);
    }
    offset += step.length;
  }
  return result;
}

std::size_t incomplete_suffix_bytes(std::string_view bytes) noexcept {
  for (std::size_t length = 1; length <= 3 && length <= bytes.size(); ++length) {
    const Utf8Step step = utf8_step(bytes, bytes.size() - length);
    if (step.kind == Utf8Step::Kind::kTruncated && step.length == length) return length;
  }
  return 0;
}

}  // namespace helix
