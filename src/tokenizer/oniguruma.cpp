#include "tokenizer/character_set.h"
#include "tokenizer/expression_reader.h"
#include "tokenizer/oniguruma_bracket.h"
#include "tokenizer/pattern.h"

namespace helix {
namespace {

class Translator {
 public:
  Translator(std::string_view source, std::string_view where) : reader_(source, where) {}

  std::string run() {
    while (!reader_.done()) step();
    return std::move(result_);
  }

 private:
  void step() {
    if (reader_.starts_with("\\")) {
      escape();
    } else if (reader_.starts_with("[")) {
      result_ += translate_bracket(reader_);
    } else if (reader_.starts_with("{")) {
      interval();
    } else if (reader_.starts_with("(?")) {
      group();
    } else if (reader_.starts_with("(*")) {
      reader_.refuse("(*");
    } else {
      copy(1);
    }
  }

  void copy(std::size_t count) { result_ += reader_.take(count); }

  void escape() {
    if (const auto set = take_escaped_set(reader_, false)) {
      result_ += set->expression();
    } else if (const auto character = reader_.take_escaped_character(false)) {
      result_ += spelled_out(*character);
    } else if (reader_.take_if("\\b")) {
      result_ += word_boundary(false);
    } else if (reader_.take_if("\\B")) {
      result_ += word_boundary(true);
    } else if (std::string_view("AGRXZz123456789").find(reader_.rest()[1]) != std::string::npos) {
      copy(2);
    } else {
      reader_.refuse(reader_.rest().substr(0, 2));
    }
  }

  static std::string word_boundary(bool negated) {
    const std::string word = word_set().expression();
    const std::string same = "(?<=" + word + ")(?=" + word + ")|(?<!" + word + ")(?!" + word + ")";
    const std::string edge = "(?<=" + word + ")(?!" + word + ")|(?<!" + word + ")(?=" + word + ")";
    return "(?:" + (negated ? same : edge) + ")";
  }

  // {n}, {n,}, {n,m} and {,m}; any other { is a character.
  void interval() {
    const std::string_view rest = reader_.rest();
    const std::size_t end = rest.find_first_not_of("0123456789,", 1);
    const std::string_view inside = rest.substr(1, end - 1);
    const std::size_t comma = inside.find(',');
    if (end == rest.npos || rest[end] != '}' || inside.empty() || inside == "," ||
        comma != inside.rfind(',')) {
      result_ += "\\{";
      reader_.take(1);
      return;
    }
    reader_.take(end + 1);
    result_ += (comma == 0 ? "{0" : "{") + std::string(inside) + "}";
    // To PCRE2 the one is possessive and the other lazy; to Oniguruma both repeat the interval.
    if (reader_.starts_with("+") || (comma == inside.npos && reader_.starts_with("?"))) {
      reader_.refuse("a repeated interval");
    }
  }

  // Only groups that both libraries read alike; options are i and x (m and s differ).
  void group() {
    const std::string_view rest = reader_.rest().substr(2);
    const bool plain = rest.starts_with(':') || rest.starts_with('=') || rest.starts_with('!') ||
                       rest.starts_with('>') || rest.starts_with("<=") || rest.starts_with("<!");
    std::size_t length = 0;
    while (length < rest.size() &&
           (rest[length] == 'i' || rest[length] == 'x' || (rest[length] == '-' && length > 0))) {
      ++length;
    }
    const bool options =
        length > 0 && length < rest.size() && (rest[length] == ':' || rest[length] == ')');
    if (!plain && !options) reader_.refuse("the group (?" + std::string(rest.substr(0, 3)));
    copy(2);
  }

  ExpressionReader reader_;
  std::string result_;
};

}  // namespace

std::string translate_oniguruma(std::string_view expression, std::string_view where) {
  return Translator(expression, where).run();
}

}  // namespace helix
