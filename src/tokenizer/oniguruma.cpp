#include <array>
#include <optional>

#include "base/message.h"
#include "tokenizer/pattern.h"

namespace helix {
namespace {

// Oniguruma's classes over Unicode, as the inside of a PCRE2 bracket. PCRE2's own \s holds U+180E
// too and its \w every number.
struct ClassSpelling {
  char letter;
  const char* inside;
};

constexpr std::array<ClassSpelling, 4> kClasses{{
    {'s',
     "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}"
     "\\x{202f}\\x{205f}\\x{3000}"},
    {'d', "\\p{Nd}"},
    {'w',
     "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24b6}-\\x{24e9}\\x{1f130}-\\x{1f149}"
     "\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{1f189}"},
    {'h', "0-9a-fA-F"},
}};

// Outside brackets \w and \b take these for letters too.
constexpr const char* kMoreWordOutside = "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}";

// The complement of \s, for use inside a bracket.
constexpr const char* kNotSpaceInside =
    "\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}"
    "\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}"
    "\\x{3001}-\\x{10ffff}";

std::optional<std::string> class_inside(char letter) {
  for (const ClassSpelling& spelling : kClasses) {
    if (spelling.letter == letter) return spelling.inside;
  }
  return std::nullopt;
}

std::string class_outside(char letter, bool negated) {
  return (negated ? "[^" : "[") + class_inside(letter).value() +
         (letter == 'w' ? kMoreWordOutside : "") + "]";
}

class Translator {
 public:
  Translator(std::string_view source, std::string_view where) : source_(source), where_(where) {}

  std::string run() {
    while (at_ < source_.size()) step();
    return std::move(result_);
  }

 private:
  void step() {
    const char c = source_[at_];
    if (c == '\\') {
      escape();
    } else if (bracket_) {
      inside_bracket(c);
    } else {
      outside_bracket(c);
    }
  }

  void copy(std::size_t count) {
    result_ += source_.substr(at_, count);
    at_ += count;
  }

  [[noreturn]] void refuse(std::string_view what) const {
    throw_error(ErrorCode::kUnsupported, where_, ": regular expression \"", source_, "\" uses ",
                what);
  }

  void escape() {
    if (at_ + 1 == source_.size()) refuse("a backslash at its end");
    const char letter = source_[at_ + 1];
    const char lower = static_cast<char>(letter | 0x20);
    const auto inside = class_inside(lower);
    if (inside && (lower == letter || !bracket_)) {
      result_ += bracket_ ? *inside : class_outside(lower, lower != letter);
      at_ += 2;
    } else if (letter == 'S') {
      result_ += kNotSpaceInside;
      at_ += 2;
    } else if (letter == 'D') {
      result_ += "\\P{Nd}";
      at_ += 2;
    } else if (inside) {
      refuse("a negated class within brackets");
    } else if (!bracket_ && lower == 'b') {
      word_boundary(letter == 'B');
    } else if (std::string_view("CKgkQEyYNO").find(letter) != std::string_view::npos) {
      refuse(concat("\\", letter));
    } else {
      copy(2);
    }
  }

  void word_boundary(bool negated) {
    const std::string word = class_outside('w', false);
    const std::string same = "(?<=" + word + ")(?=" + word + ")|(?<!" + word + ")(?!" + word + ")";
    const std::string edge = "(?<=" + word + ")(?!" + word + ")|(?<!" + word + ")(?=" + word + ")";
    result_ += "(?:" + (negated ? same : edge) + ")";
    at_ += 2;
  }

  void inside_bracket(char c) {
    if (c == '[' && source_.substr(at_, 2) == "[:") {
      const std::size_t end = source_.find(":]", at_);
      if (end == source_.npos) refuse("an unclosed POSIX class");
      copy(end + 2 - at_);
    } else if (c == '[') {
      refuse("brackets within brackets");
    } else if (c == '&' && source_.substr(at_, 2) == "&&") {
      refuse("an intersection of classes");
    } else {
      bracket_ = c != ']';
      copy(1);
    }
  }

  void outside_bracket(char c) {
    if (c == '[') {
      bracket_ = true;
      copy(source_.substr(at_, 2) == "[^" ? 2 : 1);
      if (source_.substr(at_, 1) == "]") refuse("an empty class");
    } else if (c == '}' && source_.substr(at_, 2) == "}+" && closes_interval()) {
      refuse("a repeated interval");  // {n,m}+ is no possessive quantifier in Ruby's syntax
    } else if (c == '(' && source_.substr(at_, 2) == "(?") {
      group();
    } else {
      copy(1);
    }
  }

  bool closes_interval() const {
    const std::size_t open = source_.rfind('{', at_);
    return open != source_.npos && open > 0 && source_[open + 1] >= '0' &&
           source_[open + 1] <= '9' && source_[open - 1] != 'x';
  }

  // Only groups that both libraries read alike; options are i and x (m and s differ).
  void group() {
    const std::string_view rest = source_.substr(at_ + 2);
    const bool plain = rest.starts_with(':') || rest.starts_with('=') || rest.starts_with('!') ||
                       rest.starts_with('>') || rest.starts_with("<=") || rest.starts_with("<!");
    std::size_t length = 0;
    while (length < rest.size() &&
           (rest[length] == 'i' || rest[length] == 'x' || (rest[length] == '-' && length > 0))) {
      ++length;
    }
    const bool options =
        length > 0 && length < rest.size() && (rest[length] == ':' || rest[length] == ')');
    if (!plain && !options) refuse(concat("the group (?", rest.substr(0, 3)));
    copy(2);
  }

  std::string_view source_;
  std::string_view where_;
  std::string result_;
  std::size_t at_ = 0;
  bool bracket_ = false;
};

}  // namespace

std::string translate_oniguruma(std::string_view expression, std::string_view where) {
  return Translator(expression, where).run();
}

}  // namespace helix
