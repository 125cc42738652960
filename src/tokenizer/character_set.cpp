#include "tokenizer/character_set.h"

#include <array>

#include "base/message.h"
#include "tokenizer/unicode_property.h"

namespace helix {
namespace {

struct NamedSet {
  std::string_view name;
  const char* inside;
};

constexpr const char* kSpace =
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}"
    "\\x{202f}\\x{205f}\\x{3000}";
constexpr const char* kNotSpace =
    "\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}"
    "\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}"
    "\\x{3001}-\\x{10ffff}";
constexpr const char* kMoreWord = "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}";

// PCRE2 disagrees about most: its \s holds U+180E too, its \w every number, its [:alpha:] no marks.
constexpr std::array<NamedSet, 14> kPosixSets{{
    {"alnum", "\\p{Alphabetic}\\p{Nd}"},
    {"alpha", "\\p{Alphabetic}"},
    {"ascii", "\\x{0}-\\x{7f}"},
    {"blank", "\\x{9}\\p{Zs}"},
    {"cntrl", "\\p{Cc}"},
    {"digit", "\\p{Nd}"},
    {"graph", "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}\\p{Cf}\\p{Co}"},
    {"lower", "\\p{Lowercase}"},
    {"print", "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}\\p{Cf}\\p{Co}\\p{Zs}"},
    {"punct", "\\p{P}\\p{S}"},
    {"space", kSpace},
    {"upper", "\\p{Uppercase}"},
    {"word",
     "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24b6}-\\x{24e9}\\x{1f130}-\\x{1f149}"
     "\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{1f189}"},
    {"xdigit", "0-9a-fA-F"},
}};

std::optional<std::string> posix_set(std::string_view name) {
  for (const NamedSet& set : kPosixSets) {
    if (set.name == name) return set.inside;
  }
  return std::nullopt;
}

std::string property_set(std::string_view name) {
  const std::string key = property_key(name);
  if (key == "word") return word_set().inside;
  if (key == "punct") return "\\p{P}";  // without the symbols of [:punct:]
  if (auto posix = posix_set(key)) return *posix;
  return concat("\\p{", property_for_pcre2(name), "}");
}

// At \p or \P.
CharacterSet take_property(ExpressionReader& reader) {
  const bool negated = reader.take(2) == "\\P";
  if (!reader.take_if("{")) reader.refuse("\\p without {}");
  const bool twice = reader.take_if("^");
  const std::size_t length = reader.rest().find('}');
  if (length == std::string_view::npos) reader.refuse("\\p{ without }");
  const std::string_view name = reader.take(length);
  reader.take(1);
  return {property_set(name), negated != twice};
}

bool is_one_property(std::string_view inside) {
  return inside.starts_with("\\p") && inside.find('}') + 1 == inside.size();
}

}  // namespace

std::optional<std::string> CharacterSet::members() const {
  if (!negated) return inside;
  if (inside == kSpace) return kNotSpace;
  if (is_one_property(inside)) return "\\P" + inside.substr(2);
  return std::nullopt;
}

std::string CharacterSet::expression() const {
  if (is_one_property(inside)) return *members();
  return (negated ? "[^" : "[") + inside + "]";
}

CharacterSet word_set() { return {*posix_set("word") + kMoreWord}; }

std::optional<CharacterSet> take_escaped_set(ExpressionReader& reader, bool in_bracket) {
  if (reader.rest().size() < 2) return std::nullopt;
  const char letter = reader.rest()[1];
  const char lower = static_cast<char>(letter | 0x20);
  if (lower == 'p') return take_property(reader);
  CharacterSet set;
  switch (lower) {
    case 'd': set.inside = "\\p{Nd}"; break;
    case 'h': set.inside = *posix_set("xdigit"); break;
    case 's': set.inside = kSpace; break;
    case 'w': set.inside = in_bracket ? *posix_set("word") : word_set().inside; break;
    default: return std::nullopt;
  }
  set.negated = letter != lower;
  reader.take(2);
  return set;
}

std::optional<CharacterSet> take_posix_set(ExpressionReader& reader) {
  if (!reader.starts_with("[:")) return std::nullopt;
  const std::size_t end = reader.rest().find(":]");
  if (end == std::string_view::npos) return std::nullopt;
  std::string_view name = reader.rest().substr(2, end - 2);
  const bool negated = name.starts_with('^');
  if (negated) name.remove_prefix(1);
  const auto inside = posix_set(name);
  if (!inside) reader.refuse(reader.take(end + 2));
  reader.take(end + 2);
  return CharacterSet{*inside, negated};
}

}  // namespace helix
