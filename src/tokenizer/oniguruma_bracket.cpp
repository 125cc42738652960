#include "tokenizer/oniguruma_bracket.h"

#include "tokenizer/character_set.h"

namespace helix {
namespace {

// The union of what one PCRE2 bracket can list and of expressions for the rest.
struct Union {
  std::string members;
  std::string alternatives;  // each with a leading |

  void add(const std::string& expression) { alternatives += "|" + expression; }

  void add(const CharacterSet& set) {
    if (const auto listed = set.members()) {
      members += *listed;
    } else {
      add(set.expression());
    }
  }

  void add(const Union& other) {
    members += other.members;
    alternatives += other.alternatives;
  }

  bool empty() const { return members.empty() && alternatives.empty(); }

  // Atomic: one character that several alternatives match is no reason to try again.
  std::string expression(bool negated) const {
    if (alternatives.empty()) return (negated ? "[^" : "[") + members + "]";
    const std::string all =
        members.empty() ? alternatives.substr(1) : "[" + members + "]" + alternatives;
    return negated ? "(?>(?!" + all + ")\\p{Any})" : "(?>" + all + ")";
  }
};

struct Bracket {
  Union content;
  bool negated = false;
};

class BracketParser {
 public:
  explicit BracketParser(ExpressionReader& reader) : reader_(reader) {}

  Bracket parse() {
    if (++depth_ > kMostDepth) reader_.refuse("brackets nested too deeply");
    reader_.take(1);
    Bracket bracket;
    bracket.negated = reader_.take_if("^");
    bracket.content = parse_union();
    while (reader_.take_if("&&")) {
      const std::string left = bracket.content.expression(false);
      bracket.content = {};
      bracket.content.add("(?=" + left + ")" + parse_union().expression(false));
    }
    reader_.take(1);
    --depth_;
    return bracket;
  }

 private:
  static constexpr int kMostDepth = 100;

  Union parse_union() {
    Union result;
    while (!reader_.starts_with("]") && !reader_.starts_with("&&")) {
      if (reader_.done()) reader_.refuse("a bracket without its end");
      add_item(result);
    }
    if (result.empty()) reader_.refuse("an empty class");
    return result;
  }

  void add_item(Union& result) {
    const bool escape = reader_.starts_with("\\");
    if (const auto set = escape ? take_escaped_set(reader_, true) : take_posix_set(reader_)) {
      result.add(*set);
    } else if (reader_.starts_with("[")) {
      const Bracket inner = parse();
      if (inner.negated) {
        result.add(inner.content.expression(true));
      } else {
        result.add(inner.content);
      }
    } else {
      result.members += range();
    }
  }

  // One character or, as a-z, several.
  std::string range() {
    const std::string first = spelled_out(character());
    if (!reader_.starts_with("-") || reader_.starts_with("-]") || reader_.starts_with("-[") ||
        reader_.starts_with("-&&")) {
      return first;
    }
    reader_.take(1);
    return first + "-" + spelled_out(character());
  }

  char32_t character() {
    if (reader_.done()) reader_.refuse("a bracket without its end");
    if (!reader_.starts_with("\\")) return reader_.take_character();
    const auto character = reader_.take_escaped_character(true);
    if (!character) reader_.refuse(reader_.rest().substr(0, 2));
    return *character;
  }

  ExpressionReader& reader_;
  int depth_ = 0;
};

}  // namespace

std::string translate_bracket(ExpressionReader& reader) {
  const Bracket bracket = BracketParser(reader).parse();
  return bracket.content.expression(bracket.negated);
}

}  // namespace helix
