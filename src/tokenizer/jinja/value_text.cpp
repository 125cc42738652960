#include <charconv>
#include <cmath>
#include <cstdio>

#include "tokenizer/jinja/value.h"
#include "tokenizer/unicode.h"
#include "tokenizer/utf8.h"

namespace helix::jinja {
namespace {

std::string hexadecimal(const char* format, unsigned value) {
  char text[16];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

void append_escaped(std::string& result, char32_t c, char quote) {
  const auto code = static_cast<unsigned>(c);
  if (c == '\\' || c == static_cast<char32_t>(quote)) {
    result += '\\';
    result += static_cast<char>(c);
  } else if (c == '\n') {
    result += "\\n";
  } else if (c == '\r') {
    result += "\\r";
  } else if (c == '\t') {
    result += "\\t";
  } else if (c != ' ' && !is_printable(c)) {
    result += c < 0x100     ? hexadecimal("\\x%02x", code)
              : c < 0x10000 ? hexadecimal("\\u%04x", code)
                            : hexadecimal("\\U%08x", code);
  } else {
    append_code_point(result, c);
  }
}

std::string text_repr(std::string_view text) {
  const bool double_quotes = text.find('\'') != text.npos && text.find('"') == text.npos;
  const char quote = double_quotes ? '"' : '\'';
  std::string result(1, quote);
  for (std::size_t offset = 0; offset < text.size();) {
    append_escaped(result, next_code_point(text, offset), quote);
  }
  return result + quote;
}

std::optional<std::string> sequence_repr(const Sequence& sequence) {
  if (sequence.kind != Sequence::Kind::kList && sequence.kind != Sequence::Kind::kTuple) {
    return std::nullopt;
  }
  const bool tuple = sequence.kind == Sequence::Kind::kTuple;
  std::string result = tuple ? "(" : "[";
  for (std::size_t i = 0; i < sequence.items.size(); ++i) {
    const auto item = to_repr(sequence.items[i]);
    if (!item) return std::nullopt;
    if (i > 0) result += ", ";
    result += *item;
  }
  if (tuple && sequence.items.size() == 1) result += ',';
  return result + (tuple ? ")" : "]");
}

std::optional<std::string> dict_repr(const Dict& dict) {
  std::string result = "{";
  for (const auto& [key, value] : dict.entries()) {
    const auto key_text = to_repr(key);
    const auto value_text = to_repr(value);
    if (!key_text || !value_text) return std::nullopt;
    if (result.size() > 1) result += ", ";
    result += *key_text + ": " + *value_text;
  }
  return result + "}";
}

}  // namespace

// The shortest digits that read back as the same number; an exponent from 1e16 on and below 1e-4.
std::string float_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[64];
  const auto scientific =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  const std::string text(buffer, scientific.ptr);
  const int exponent = std::stoi(text.substr(text.find('e') + 1));
  if (exponent < -4 || exponent >= 16) return text;
  const auto fixed = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed);
  std::string result(buffer, fixed.ptr);
  if (result.find('.') == result.npos) result += ".0";
  return result;
}

std::optional<std::string> to_repr(const Value& value) {
  if (value.is_text()) return text_repr(value.text());
  if (value.is_undefined()) return "Undefined";
  return to_text(value);
}

std::optional<std::string> to_text(const Value& value) {
  if (value.is_text()) return value.text();
  if (value.is_undefined()) return "";
  if (value.is_none()) return "None";
  if (value.is_bool()) return value.boolean() ? "True" : "False";
  if (value.is_integer()) return std::to_string(value.integer());
  if (value.is_float()) return float_repr(value.number());
  if (value.is_dict()) return dict_repr(value.dict());
  if (value.is_sequence()) return sequence_repr(value.sequence());
  return std::nullopt;
}

}  // namespace helix::jinja
