#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace helix::jinja {

// A word of a template. Operators and brackets are kOperator with their own spelling.
struct Token {
  enum class Kind {
    kText,  // between tags, whitespace control applied
    kBlockBegin,
    kBlockEnd,
    kVariableBegin,
    kVariableEnd,
    kName,
    kString,  // escapes resolved
    kInteger,
    kFloat,
    kOperator,
    kEnd,
  };
  Kind kind = Kind::kEnd;
  std::string text;
  std::int64_t integer = 0;
  double number = 0.0;
  int line = 1;
};

// Cuts a template as Jinja 3 does with trim_blocks and lstrip_blocks. The last token is kEnd.
// Throws Error(kCorruptData) with `name` and the line.
std::vector<Token> tokenize(std::string_view source, const std::string& name);

// The value of a string literal's inside ("\n" is a line feed, "\u00e9" a letter). Throws as
// tokenize.
std::string unescape(std::string_view inside, const std::string& name, int line);

}  // namespace helix::jinja
