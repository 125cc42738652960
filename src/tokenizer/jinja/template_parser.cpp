#include "tokenizer/jinja/template_parser.h"

#include <algorithm>
#include <initializer_list>

#include "base/message.h"
#include "tokenizer/jinja/expression_parser.h"
#include "tokenizer/jinja/known_names.h"
#include "tokenizer/jinja/unset_names.h"

namespace helix::jinja {
namespace {

class TemplateParser {
 public:
  TemplateParser(std::string_view source, const std::string& name)
      : stream_(tokenize(source, name), name), expressions_(stream_) {}

  Body parse() {
    Body body = parse_body({});
    if (!stream_.is(Token::Kind::kEnd)) stream_.fail("unexpected end tag");
    return body;
  }

 private:
  using Ends = std::initializer_list<std::string_view>;

  Statement make(Statement::Kind kind) const {
    Statement statement;
    statement.kind = kind;
    statement.line = stream_.current().line;
    return statement;
  }

  // Up to "{% end", with the block's begin consumed and its name current, or the template's end.
  Body parse_body(Ends ends) {
    const TokenStream::Depth depth(stream_);
    Body body;
    while (!stream_.is(Token::Kind::kEnd)) {
      if (stream_.is(Token::Kind::kText)) {
        Statement text = make(Statement::Kind::kText);
        text.text = stream_.next().text;
        body.statements.push_back(std::move(text));
      } else if (stream_.is(Token::Kind::kVariableBegin)) {
        body.statements.push_back(parse_output());
      } else {
        stream_.expect(Token::Kind::kBlockBegin, "a block");
        const bool ended = std::any_of(ends.begin(), ends.end(),
                                       [&](std::string_view end) { return stream_.is_name(end); });
        if (ended) return body;
        body.statements.push_back(parse_statement());
      }
    }
    if (ends.size() > 0) stream_.fail(concat("the template ends without ", *(ends.end() - 1)));
    return body;
  }

  // The body of a block and its end tag.
  Body parse_block(std::string_view end) {
    end_tag();
    Body body = parse_body({end});
    stream_.next();
    end_tag();
    return body;
  }

  void end_tag() { stream_.expect(Token::Kind::kBlockEnd, "'%}'"); }

  Statement parse_output() {
    stream_.next();
    Statement statement = make(Statement::Kind::kOutput);
    statement.expression = expressions_.parse_tuple();
    stream_.expect(Token::Kind::kVariableEnd, "'}}'");
    return statement;
  }

  Statement parse_statement() {
    const std::string word = stream_.is(Token::Kind::kName) ? stream_.current().text : "";
    if (word == "if") return parse_if();
    if (word == "for") return parse_for();
    if (word == "set") return parse_set();
    if (word == "macro") return parse_macro();
    if (word == "call") return parse_call();
    if (word == "filter") return parse_filter();
    if (word == "with") return parse_with();
    if (word == "generation") return parse_generation();
    if (word == "break") return parse_jump(Statement::Kind::kBreak);
    if (word == "continue") return parse_jump(Statement::Kind::kContinue);
    if (word.starts_with("end") || word == "else" || word == "elif" || word.empty()) {
      stream_.fail(concat("unexpected '", stream_.current().text, "'"));
    }
    stream_.unsupported(concat("the statement '", word, "'"));
  }

  Statement parse_jump(Statement::Kind kind) {
    if (loop_depth_ == 0) stream_.fail("break or continue outside of a loop");
    Statement statement = make(kind);
    stream_.next();
    end_tag();
    return statement;
  }

  // At "if" or "elif"; an elif is an if in the other branch.
  Statement parse_if() {
    const TokenStream::Depth depth(stream_);
    Statement statement = make(Statement::Kind::kIf);
    stream_.next();
    statement.expression = expressions_.parse_tuple(false);
    end_tag();
    statement.body = parse_body({"elif", "else", "endif"});
    if (stream_.is_name("elif")) {
      statement.otherwise.statements.push_back(parse_if());
      return statement;
    }
    if (stream_.skip_name("else")) {
      end_tag();
      statement.otherwise = parse_body({"endif"});
    }
    stream_.next();
    end_tag();
    return statement;
  }

  Statement parse_for() {
    Statement statement = make(Statement::Kind::kFor);
    stream_.next();
    ++for_depth_;
    statement.target = parse_target(false);
    if (!stream_.skip_name("in")) stream_.fail("expected 'in'");
    statement.expression = expressions_.parse_tuple(false);
    if (stream_.skip_name("if")) statement.condition = expressions_.parse_expression();
    if (stream_.is_name("recursive")) stream_.unsupported("a recursive loop");
    end_tag();
    ++loop_depth_;
    statement.body = parse_body({"else", "endfor"});
    --loop_depth_;
    if (stream_.skip_name("else")) {
      end_tag();
      statement.otherwise = parse_body({"endfor"});
    }
    --for_depth_;
    stream_.next();
    end_tag();
    return statement;
  }

  Statement parse_set() {
    Statement statement = make(Statement::Kind::kSet);
    stream_.next();
    statement.target = parse_target(true);
    if (stream_.skip_operator("=")) {
      statement.expression = expressions_.parse_tuple();
      end_tag();
      return statement;
    }
    statement.kind = Statement::Kind::kSetBlock;
    statement.expression = expressions_.parse_filters(nullptr);
    statement.body = parse_outside_of_loops("endset");
    return statement;
  }

  Statement parse_macro() {
    Statement statement = make(Statement::Kind::kMacro);
    stream_.next();
    statement.text = stream_.expect_name("the macro's name");
    statement.parameters = parse_parameters();
    parse_function_body("endmacro", statement);
    return statement;
  }

  Statement parse_call() {
    Statement statement = make(Statement::Kind::kCallBlock);
    stream_.next();
    if (stream_.is_operator("(")) statement.parameters = parse_parameters();
    statement.expression = expressions_.parse_expression();
    if (statement.expression->kind != Expression::Kind::kCall) stream_.fail("expected a call");
    parse_function_body("endcall", statement);
    return statement;
  }

  Statement parse_filter() {
    Statement statement = make(Statement::Kind::kFilterBlock);
    stream_.next();
    // The first filter has no bar before it.
    statement.expression = std::make_unique<Expression>();
    statement.expression->kind = Expression::Kind::kFilter;
    statement.expression->line = statement.line;
    statement.expression->text = stream_.expect_name("a filter");
    if (stream_.is_operator("(")) {
      statement.expression->arguments = expressions_.parse_arguments();
    }
    statement.expression->operands.push_back(nullptr);
    statement.expression = expressions_.parse_filters(std::move(statement.expression));
    statement.body = parse_outside_of_loops("endfilter");
    return statement;
  }

  Statement parse_with() {
    Statement statement = make(Statement::Kind::kWith);
    stream_.next();
    while (!stream_.is(Token::Kind::kBlockEnd)) {
      if (!statement.assignments.empty()) stream_.expect_operator(",");
      Target target = parse_target(false);
      stream_.expect_operator("=");
      statement.assignments.emplace_back(std::move(target), expressions_.parse_expression());
    }
    statement.body = parse_block("endwith");
    return statement;
  }

  // transformers' mark around what the assistant wrote; it changes nothing in the text.
  Statement parse_generation() {
    Statement statement = make(Statement::Kind::kScope);
    stream_.next();
    parse_function_body("endgeneration", statement);
    if (statement.names_caller) stream_.unsupported("a caller within a generation");
    return statement;
  }

  // Bodies that become functions of their own: a loop around them is out of reach.
  Body parse_outside_of_loops(std::string_view end) {
    const int outer = std::exchange(loop_depth_, 0);
    Body body = parse_block(end);
    loop_depth_ = outer;
    return body;
  }

  void parse_function_body(std::string_view end, Statement& statement) {
    const int read_before = expressions_.callers_read();
    const int set_before = callers_set_;
    statement.body = parse_outside_of_loops(end);
    statement.names_caller = expressions_.callers_read() > read_before;
    if (statement.names_caller && callers_set_ > set_before) {
      stream_.unsupported("a macro that sets and reads 'caller'");
    }
  }

  std::vector<Statement::Parameter> parse_parameters() {
    std::vector<Statement::Parameter> parameters;
    stream_.expect_operator("(");
    while (!stream_.is_operator(")")) {
      if (!parameters.empty()) stream_.expect_operator(",");
      if (stream_.is_operator(")")) break;
      Statement::Parameter parameter;
      if (stream_.is_name("caller")) stream_.unsupported("a parameter 'caller'");
      parameter.name = stream_.expect_name("a parameter");
      if (stream_.skip_operator("=")) parameter.fallback = expressions_.parse_expression();
      require_follows(parameter, parameters);
      parameters.push_back(std::move(parameter));
    }
    stream_.next();
    return parameters;
  }

  void require_follows(const Statement::Parameter& parameter,
                       const std::vector<Statement::Parameter>& before) const {
    for (const auto& other : before) {
      if (other.name == parameter.name) stream_.fail(concat("two parameters ", other.name));
      if (other.fallback && !parameter.fallback) {
        stream_.fail(concat("parameter ", parameter.name, " without a default behind one with it"));
      }
    }
  }

  Target parse_target(bool with_namespace) {
    Target first = parse_single_target(with_namespace);
    if (!stream_.is_operator(",")) return first;
    Target all;
    all.parts.push_back(std::move(first));
    while (stream_.skip_operator(",")) {
      if (!stream_.is(Token::Kind::kName) && !stream_.is_operator("(")) break;
      if (stream_.is_name("in")) break;
      all.parts.push_back(parse_single_target(with_namespace));
    }
    return all;
  }

  Target parse_single_target(bool with_namespace) {
    const TokenStream::Depth depth(stream_);
    if (stream_.skip_operator("(")) {
      Target inner = parse_target(with_namespace);
      stream_.expect_operator(")");
      return inner;
    }
    Target target;
    target.name = stream_.expect_name("a name");
    if (target.name == "caller") ++callers_set_;
    if (target.name == "loop" && for_depth_ > 0) stream_.fail("cannot assign to 'loop'");
    static constexpr const char* kConstants[] = {"true", "false", "none", "True", "False", "None"};
    if (std::find(std::begin(kConstants), std::end(kConstants), target.name) !=
        std::end(kConstants)) {
      stream_.fail(concat("cannot assign to '", target.name, "'"));
    }
    if (with_namespace && stream_.skip_operator(".")) {
      target.attribute = stream_.expect_name("an attribute");
    }
    return target;
  }

  TokenStream stream_;
  ExpressionParser expressions_;
  int loop_depth_ = 0;   // loops that break would leave
  int for_depth_ = 0;    // loops around, from their targets to their else
  int callers_set_ = 0;  // assignments to `caller` until now
};

}  // namespace

Body parse_template(std::string_view source, const std::string& name) {
  Body body = TemplateParser(source, name).parse();
  find_unset_names(body, name);
  require_known_names(body, name);
  return body;
}

}  // namespace helix::jinja
