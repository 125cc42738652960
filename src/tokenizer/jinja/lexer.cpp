#include "tokenizer/jinja/lexer.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/message.h"
#include "tokenizer/jinja/text_operations.h"
#include "tokenizer/utf8.h"

namespace helix::jinja {
namespace {

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view trim_left(std::string_view text) { return strip(text, Side::kLeft); }

// Line ends become \n, and one at the very end goes.
std::string normalize_lines(std::string_view source) {
  std::string result;
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      result += source[i];
    } else if (i + 1 == source.size() || source[i + 1] != '\n') {
      result += '\n';
    }
  }
  if (result.ends_with('\n')) result.pop_back();
  return result;
}

class Lexer {
 public:
  Lexer(std::string source, const std::string& name) : source_(std::move(source)), name_(name) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) lex_text();
    push(Token::Kind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  enum class Tag { kNone, kBlock, kVariable, kComment };

  [[noreturn]] void fail(std::string_view what) const {
    throw_error(ErrorCode::kCorruptData, name_, ", line ", line_, ": ", what);
  }

  std::string_view rest() const { return std::string_view(source_).substr(at_); }

  Token& push(Token::Kind kind, std::string text) {
    Token token;
    token.kind = kind;
    token.text = std::move(text);
    token.line = line_;
    tokens_.push_back(std::move(token));
    return tokens_.back();
  }

  void advance(std::size_t count) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(at_ + count),
                                         '\n'));
    if (count > 0) line_starting_ = source_[at_ + count - 1] == '\n';
    at_ += count;
  }

  static Tag tag_at(std::string_view text) {
    if (text.starts_with("{%")) return Tag::kBlock;
    if (text.starts_with("{{")) return Tag::kVariable;
    if (text.starts_with("{#")) return Tag::kComment;
    return Tag::kNone;
  }

  std::size_t find_tag() const {
    for (std::size_t i = at_; i + 1 < source_.size(); ++i) {
      if (source_[i] == '{' && tag_at(std::string_view(source_).substr(i)) != Tag::kNone) return i;
    }
    return source_.size();
  }

  void lex_text() {
    const std::size_t end = find_tag();
    if (end == source_.size()) {
      push(Token::Kind::kText, source_.substr(at_));
      advance(end - at_);
      return;
    }
    const Tag tag = tag_at(std::string_view(source_).substr(end));
    const char sign = end + 2 < source_.size() ? source_[end + 2] : ' ';
    const bool has_sign = sign == '-' || sign == '+';
    std::string_view text(source_.data() + at_, end - at_);
    if (has_sign && sign == '-') {
      text = strip(text, Side::kRight);
    } else if (!has_sign && tag != Tag::kVariable) {
      text = without_indent(text);
    }
    if (!text.empty()) push(Token::Kind::kText, std::string(text));
    advance(end - at_ + 2 + (has_sign ? 1 : 0));
    line_starting_ = false;
    lex_tag(tag);
  }

  // lstrip_blocks: whitespace between the start of a line and a tag goes.
  std::string_view without_indent(std::string_view text) const {
    const std::size_t line_begin = text.rfind('\n') + 1;  // npos + 1 is 0
    if (line_begin == 0 && !line_starting_) return text;
    const bool blank = trim_left(text.substr(line_begin)).empty();
    return blank ? text.substr(0, line_begin) : text;
  }

  void lex_tag(Tag tag) {
    if (tag == Tag::kComment) {
      const std::size_t end = source_.find("#}", at_);
      if (end == source_.npos) fail("a comment without end");
      const bool sign = end > at_ && (source_[end - 1] == '-' || source_[end - 1] == '+');
      advance(end - at_ - (sign ? 1 : 0));
      close_tag("#}", true);
    } else if (tag == Tag::kBlock && is_raw()) {
      lex_raw();
    } else if (tag == Tag::kBlock) {
      push(Token::Kind::kBlockBegin, "{%");
      lex_expression("%}", Token::Kind::kBlockEnd);
    } else {
      push(Token::Kind::kVariableBegin, "{{");
      lex_expression("}}", Token::Kind::kVariableEnd);
    }
  }

  // At "-%}", "+%}" or "%}": moves behind it and what it takes along. False where there is no end.
  bool close_tag(std::string_view end, bool trims_line) {
    const bool plus = trims_line && rest().starts_with('+');
    const bool minus = rest().starts_with('-');
    const std::size_t sign = plus || minus ? 1 : 0;
    if (!rest().substr(sign).starts_with(end)) return false;
    std::size_t length = sign + end.size();
    if (minus) {
      length = rest().size() - trim_left(rest().substr(length)).size();
    } else if (trims_line && !plus && rest().substr(length).starts_with('\n')) {
      ++length;
    }
    advance(length);
    return true;
  }

  bool is_raw() const {
    const std::string_view word = trim_left(rest());
    return word.starts_with("raw") && (trim_left(word.substr(3)).starts_with("%}") ||
                                       trim_left(word.substr(3)).starts_with("-%}"));
  }

  void skip_space() { advance(rest().size() - trim_left(rest()).size()); }

  void lex_raw() {
    skip_space();
    advance(3);
    skip_space();
    close_tag("%}", false);
    const std::size_t begin = at_;
    for (std::size_t end = source_.find("{%", at_); end != source_.npos;
         end = source_.find("{%", end + 2)) {
      std::string_view tag = std::string_view(source_).substr(end + 2);
      const char sign = tag.empty() ? ' ' : tag[0];
      if (sign == '-' || sign == '+') tag.remove_prefix(1);
      tag = trim_left(tag);
      if (!tag.starts_with("endraw")) continue;
      std::string_view text(source_.data() + begin, end - begin);
      if (sign == '-') text = strip(text, Side::kRight);
      if (sign != '-' && sign != '+') text = without_indent(text);
      push(Token::Kind::kText, std::string(text));
      advance(static_cast<std::size_t>(tag.data() - source_.data()) + 6 - at_);
      skip_space();
      if (!close_tag("%}", true)) fail("a broken endraw");
      return;
    }
    fail("raw without endraw");
  }

  void lex_expression(std::string_view end, Token::Kind end_kind) {
    const bool is_block = end_kind == Token::Kind::kBlockEnd;
    std::string open;  // brackets waiting to be closed
    for (;;) {
      const int line = line_;
      if (open.empty() && close_tag(end, is_block)) {
        push(end_kind, std::string(end)).line = line;
        return;
      }
      if (at_ >= source_.size()) fail("a tag without end");
      lex_word(open);
    }
  }

  bool is_space(std::size_t offset) const {
    const std::string_view text = rest().substr(offset);
    return trim_left(text).size() < text.size();
  }

  void lex_word(std::string& open) {
    const char c = source_[at_];
    if (is_space(0)) {
      skip_space();
    } else if (is_name_start(c)) {
      lex_name();
    } else if (is_digit(c)) {
      lex_number();
    } else if (c == '\'' || c == '"') {
      lex_string(c);
    } else {
      lex_operator(open);
    }
  }

  void lex_name() {
    std::size_t length = 0;
    while (length < rest().size() && !is_space(length) &&
           (is_name_start(rest()[length]) || is_digit(rest()[length]))) {
      next_code_point(rest(), length);
    }
    push(Token::Kind::kName, std::string(rest().substr(0, length)));
    advance(length);
  }

  void lex_string(char quote) {
    std::size_t length = 1;
    while (length < rest().size() && rest()[length] != quote) {
      length += rest()[length] == '\\' ? 2 : 1;
    }
    if (length >= rest().size()) fail("a string without end");
    push(Token::Kind::kString, unescape(rest().substr(1, length - 1), name_, line_));
    advance(length + 1);
  }

  void lex_number() {
    std::string digits;
    std::size_t length = 0;
    bool is_float = false;
    while (length < rest().size()) {
      const char c = rest()[length];
      const char next = length + 1 < rest().size() ? rest()[length + 1] : ' ';
      const bool point = c == '.' && is_digit(next) && !is_float;
      const bool exponent =
          (c == 'e' || c == 'E') && (is_digit(next) || next == '-' || next == '+');
      const bool joint = c == '_' && is_digit(rest()[length - 1]) && is_digit(next);
      if (!is_digit(c) && !joint && !point && !exponent) break;
      is_float = is_float || point || exponent;
      if (c != '_') digits += c;
      ++length;
      if (exponent && !is_digit(next)) digits += rest()[length++];
    }
    if (length < rest().size() && is_name_start(rest()[length])) fail("a broken number");
    const bool zeros = digits.find_first_not_of('0') == digits.npos;
    if (!is_float && digits.size() > 1 && digits[0] == '0' && !zeros) fail("a leading zero");
    Token& token = push(is_float ? Token::Kind::kFloat : Token::Kind::kInteger, digits);
    const char* first = digits.data();
    const char* last = first + digits.size();
    const auto result = is_float ? std::from_chars(first, last, token.number)
                                 : std::from_chars(first, last, token.integer);
    if (result.ec != std::errc() || result.ptr != last) fail("number out of range: " + digits);
    advance(length);
  }

  void lex_operator(std::string& open) {
    static constexpr std::array<std::string_view, 28> kOperators{
        "**", "//", "==", "!=", ">=", "<=", "+", "-", "*", "/", "%", "~", "<", ">",
        "=",  ".",  ":",  ",",  "|",  "(",  ")", "[", "]", "{", "}", ";", "!", "&"};
    for (const std::string_view spelling : kOperators) {
      if (!rest().starts_with(spelling)) continue;
      match_brackets(spelling[0], open);
      push(Token::Kind::kOperator, std::string(spelling));
      advance(spelling.size());
      return;
    }
    fail(concat("unexpected character ", rest().substr(0, 1)));
  }

  void match_brackets(char c, std::string& open) const {
    if (c == '(') open += ')';
    if (c == '[') open += ']';
    if (c == '{') open += '}';
    if (c == ')' || c == ']' || c == '}') {
      if (open.empty() || open.back() != c) fail(concat("unexpected ", c));
      open.pop_back();
    }
  }

  std::string source_;
  const std::string& name_;
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;  // the last thing read ended a line
};

}  // namespace

std::vector<Token> tokenize(std::string_view source, const std::string& name) {
  return Lexer(normalize_lines(source), name).run();
}

}  // namespace helix::jinja
