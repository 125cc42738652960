#include "tokenizer/jinja/expression_parser.h"

#include <algorithm>

#include "base/message.h"

namespace helix::jinja {
namespace {

constexpr int kMaxExpressionDepth = 200;

}  // namespace

ExpressionPointer ExpressionParser::make(Kind kind, std::string text) const {
  auto node = std::make_unique<Expression>();
  node->kind = kind;
  node->text = std::move(text);
  node->line = stream_.current().line;
  return node;
}

ExpressionPointer ExpressionParser::with(ExpressionPointer node,
                                         std::vector<ExpressionPointer> operands) const {
  node->operands = std::move(operands);
  for_each_child(*node, [&](const ExpressionPointer& child) {
    node->depth = std::max(node->depth, child->depth + 1);
  });
  // A long chain such as a + b + c + ... nests without the parser calling itself.
  if (node->depth > kMaxExpressionDepth) stream_.unsupported("an expression this deep");
  return node;
}

template <typename... Operands>
ExpressionPointer ExpressionParser::make_node(Kind kind, std::string text,
                                              Operands... operands) const {
  std::vector<ExpressionPointer> list;
  (list.push_back(std::move(operands)), ...);
  return with(make(kind, std::move(text)), std::move(list));
}

bool ExpressionParser::ends_tuple() const {
  return stream_.is(Token::Kind::kVariableEnd) || stream_.is(Token::Kind::kBlockEnd) ||
         stream_.is_operator(")") || stream_.is_operator("=") || stream_.is_name("in");
}

ExpressionPointer ExpressionParser::parse_tuple(bool with_conditional) {
  const TokenStream::Depth depth(stream_);
  const auto parse = [&] { return with_conditional ? parse_conditional() : parse_or(); };
  ExpressionPointer first = parse();
  if (!stream_.is_operator(",")) return first;
  std::vector<ExpressionPointer> items;
  items.push_back(std::move(first));
  while (stream_.skip_operator(",")) {
    if (ends_tuple()) break;
    items.push_back(parse());
  }
  return with(make(Kind::kTuple), std::move(items));
}

ExpressionPointer ExpressionParser::parse_conditional() {
  const TokenStream::Depth depth(stream_);
  ExpressionPointer result = parse_or();
  while (stream_.skip_name("if")) {
    ExpressionPointer condition = parse_or();
    ExpressionPointer otherwise;
    if (stream_.skip_name("else")) otherwise = parse_conditional();
    result = make_node(Kind::kConditional, "", std::move(condition), std::move(result),
                       std::move(otherwise));
  }
  return result;
}

ExpressionPointer ExpressionParser::parse_or() {
  ExpressionPointer left = parse_and();
  while (stream_.skip_name("or")) left = make_node(Kind::kOr, "", std::move(left), parse_and());
  return left;
}

ExpressionPointer ExpressionParser::parse_and() {
  ExpressionPointer left = parse_not();
  while (stream_.skip_name("and")) left = make_node(Kind::kAnd, "", std::move(left), parse_not());
  return left;
}

ExpressionPointer ExpressionParser::parse_not() {
  if (!stream_.skip_name("not")) return parse_compare();
  const TokenStream::Depth depth(stream_);
  return make_node(Kind::kNot, "", parse_not());
}

ExpressionPointer ExpressionParser::parse_compare() {
  std::vector<ExpressionPointer> operands;
  std::vector<std::string> operators;
  operands.push_back(parse_sum());
  for (;;) {
    static constexpr const char* kOperators[] = {"==", "!=", "<", "<=", ">", ">="};
    const bool is_order = stream_.is(Token::Kind::kOperator) &&
                          std::find(std::begin(kOperators), std::end(kOperators),
                                    stream_.current().text) != std::end(kOperators);
    const Token& after = stream_.look_ahead();
    if (is_order || stream_.is_name("in")) {
      operators.push_back(stream_.next().text);
    } else if (stream_.is_name("not") && after.kind == Token::Kind::kName && after.text == "in") {
      stream_.next();
      stream_.next();
      operators.emplace_back("not in");
    } else {
      break;
    }
    operands.push_back(parse_sum());
  }
  if (operators.empty()) return std::move(operands[0]);
  ExpressionPointer node = make(Kind::kCompare);
  node->operators = std::move(operators);
  return with(std::move(node), std::move(operands));
}

ExpressionPointer ExpressionParser::parse_sum() {
  ExpressionPointer left = parse_concatenation();
  while (stream_.is_operator("+") || stream_.is_operator("-")) {
    std::string spelling = stream_.next().text;
    left = make_node(Kind::kBinary, std::move(spelling), std::move(left), parse_concatenation());
  }
  return left;
}

ExpressionPointer ExpressionParser::parse_concatenation() {
  std::vector<ExpressionPointer> parts;
  parts.push_back(parse_product());
  while (stream_.skip_operator("~")) parts.push_back(parse_product());
  if (parts.size() == 1) return std::move(parts[0]);
  return with(make(Kind::kConcatenate), std::move(parts));
}

ExpressionPointer ExpressionParser::parse_product() {
  ExpressionPointer left = parse_power();
  while (stream_.is_operator("*") || stream_.is_operator("/") || stream_.is_operator("//") ||
         stream_.is_operator("%")) {
    std::string spelling = stream_.next().text;
    left = make_node(Kind::kBinary, std::move(spelling), std::move(left), parse_power());
  }
  return left;
}

ExpressionPointer ExpressionParser::parse_power() {
  ExpressionPointer left = parse_unary(true);
  while (stream_.skip_operator("**")) {
    left = make_node(Kind::kBinary, "**", std::move(left), parse_unary(true));
  }
  return left;
}

ExpressionPointer ExpressionParser::parse_unary(bool with_filters) {
  const TokenStream::Depth depth(stream_);
  ExpressionPointer node;
  if (stream_.skip_operator("-")) {
    node = make_node(Kind::kNegative, "", parse_unary(false));
  } else if (stream_.skip_operator("+")) {
    node = make_node(Kind::kPositive, "", parse_unary(false));
  } else {
    node = parse_primary();
  }
  node = parse_postfix(std::move(node));
  return with_filters ? parse_filters_and_tests(std::move(node)) : std::move(node);
}

ExpressionPointer ExpressionParser::parse_primary() {
  ExpressionPointer node = make(Kind::kConstant);
  const Token& token = stream_.current();
  if (token.kind == Token::Kind::kName) {
    const std::string& name = token.text;
    if (name == "true" || name == "True" || name == "false" || name == "False") {
      node->value = name == "true" || name == "True";
    } else if (name != "none" && name != "None") {
      node->kind = Kind::kName;
      node->text = name;
      if (name == "caller") ++callers_read_;
    }
    stream_.next();
  } else if (token.kind == Token::Kind::kString) {
    std::string text;
    while (stream_.is(Token::Kind::kString)) text += stream_.next().text;
    node->value = Value::text(std::move(text));
  } else if (token.kind == Token::Kind::kInteger) {
    node->value = stream_.next().integer;
  } else if (token.kind == Token::Kind::kFloat) {
    node->value = stream_.next().number;
  } else if (stream_.is_operator("(")) {
    return parse_parentheses();
  } else if (stream_.is_operator("[")) {
    return parse_list();
  } else if (stream_.is_operator("{")) {
    return parse_dict();
  } else {
    stream_.fail(concat("unexpected '", token.text, "'"));
  }
  return node;
}

ExpressionPointer ExpressionParser::parse_parentheses() {
  stream_.next();
  if (stream_.skip_operator(")")) return make(Kind::kTuple);
  ExpressionPointer inside = parse_tuple();
  stream_.expect_operator(")");
  return inside;
}

ExpressionPointer ExpressionParser::parse_list() {
  ExpressionPointer node = make(Kind::kList);
  stream_.next();
  std::vector<ExpressionPointer> items;
  while (!stream_.is_operator("]")) {
    if (!items.empty()) stream_.expect_operator(",");
    if (stream_.is_operator("]")) break;
    items.push_back(parse_expression());
  }
  stream_.next();
  return with(std::move(node), std::move(items));
}

ExpressionPointer ExpressionParser::parse_dict() {
  ExpressionPointer node = make(Kind::kDict);
  stream_.next();
  std::vector<ExpressionPointer> items;
  while (!stream_.is_operator("}")) {
    if (!items.empty()) stream_.expect_operator(",");
    if (stream_.is_operator("}")) break;
    items.push_back(parse_expression());
    stream_.expect_operator(":");
    items.push_back(parse_expression());
  }
  stream_.next();
  return with(std::move(node), std::move(items));
}

ExpressionPointer ExpressionParser::parse_postfix(ExpressionPointer operand) {
  for (;;) {
    if (stream_.is_operator(".")) {
      operand = parse_attribute(std::move(operand));
    } else if (stream_.is_operator("[")) {
      operand = parse_subscript(std::move(operand));
    } else if (stream_.is_operator("(")) {
      operand = parse_call(std::move(operand));
    } else {
      return operand;
    }
  }
}

ExpressionPointer ExpressionParser::parse_filters_and_tests(ExpressionPointer operand) {
  for (;;) {
    if (stream_.is_operator("|")) {
      operand = parse_filters(std::move(operand));
    } else if (stream_.is_name("is")) {
      operand = parse_test(std::move(operand));
    } else if (stream_.is_operator("(")) {
      operand = parse_call(std::move(operand));
    } else {
      return operand;
    }
  }
}

ExpressionPointer ExpressionParser::parse_call(ExpressionPointer callee) {
  ExpressionPointer node = make(Kind::kCall);
  node->arguments = parse_arguments();
  std::vector<ExpressionPointer> operands;
  operands.push_back(std::move(callee));
  return with(std::move(node), std::move(operands));
}

Arguments ExpressionParser::parse_arguments() {
  Arguments arguments;
  stream_.expect_operator("(");
  bool first = true;
  while (!stream_.is_operator(")")) {
    if (!first) stream_.expect_operator(",");
    first = false;
    if (stream_.is_operator(")")) break;
    parse_argument(arguments);
  }
  stream_.next();
  return arguments;
}

void ExpressionParser::parse_argument(Arguments& arguments) {
  if (arguments.unpacked_keyword) stream_.fail("an argument behind **");
  const Token& after = stream_.look_ahead();
  if (stream_.skip_operator("*")) {
    if (arguments.unpacked) stream_.fail("* twice in a call");
    arguments.unpacked = parse_expression();
  } else if (stream_.skip_operator("**")) {
    arguments.unpacked_keyword = parse_expression();
  } else if (stream_.is(Token::Kind::kName) && after.kind == Token::Kind::kOperator &&
             after.text == "=") {
    std::string name = stream_.next().text;
    for (const auto& argument : arguments.keyword) {
      if (argument.first == name) stream_.fail(concat("argument ", name, " given twice"));
    }
    stream_.next();
    arguments.keyword.emplace_back(std::move(name), parse_expression());
  } else {
    if (!arguments.keyword.empty() || arguments.unpacked) {
      stream_.fail("a positional argument behind a named or unpacked one");
    }
    arguments.positional.push_back(parse_expression());
  }
}

ExpressionPointer ExpressionParser::parse_attribute(ExpressionPointer operand) {
  stream_.next();
  if (stream_.is(Token::Kind::kInteger)) {
    ExpressionPointer index = make(Kind::kConstant);
    index->value = stream_.next().integer;
    return make_node(Kind::kItem, "", std::move(operand), std::move(index));
  }
  return make_node(Kind::kAttribute, stream_.expect_name("a name"), std::move(operand));
}

bool ExpressionParser::ends_slice_part() const {
  return stream_.is_operator(":") || stream_.is_operator("]") || stream_.is_operator(",");
}

ExpressionPointer ExpressionParser::parse_subscript(ExpressionPointer operand) {
  stream_.next();
  ExpressionPointer start;
  if (!stream_.is_operator(":")) start = parse_expression();
  ExpressionPointer node;
  if (stream_.is_operator(":")) {
    node = parse_slice(std::move(operand), std::move(start));
  } else {
    node = make_node(Kind::kItem, "", std::move(operand), std::move(start));
  }
  if (stream_.is_operator(",")) stream_.unsupported("a subscript of several parts");
  stream_.expect_operator("]");
  return node;
}

ExpressionPointer ExpressionParser::parse_slice(ExpressionPointer operand,
                                                ExpressionPointer start) {
  ExpressionPointer stop;
  ExpressionPointer step;
  stream_.expect_operator(":");
  if (!ends_slice_part()) stop = parse_expression();
  if (stream_.skip_operator(":") && !ends_slice_part()) step = parse_expression();
  return make_node(Kind::kSlice, "", std::move(operand), std::move(start), std::move(stop),
                   std::move(step));
}

ExpressionPointer ExpressionParser::parse_filters(ExpressionPointer operand) {
  while (stream_.skip_operator("|")) {
    ExpressionPointer node = make(Kind::kFilter, stream_.expect_name("a filter"));
    if (stream_.is_operator(".")) stream_.unsupported("a filter name with dots");
    if (stream_.is_operator("(")) node->arguments = parse_arguments();
    std::vector<ExpressionPointer> operands;
    operands.push_back(std::move(operand));
    operand = with(std::move(node), std::move(operands));
  }
  return operand;
}

ExpressionPointer ExpressionParser::parse_test(ExpressionPointer operand) {
  stream_.next();
  const bool negated = stream_.skip_name("not");
  ExpressionPointer node = make(Kind::kTest, stream_.expect_name("a test"));
  if (stream_.is_operator(".")) stream_.unsupported("a test name with dots");
  const bool bare_argument = stream_.is(Token::Kind::kString) ||
                             stream_.is(Token::Kind::kInteger) || stream_.is(Token::Kind::kFloat) ||
                             stream_.is_operator("[") || stream_.is_operator("{") ||
                             (stream_.is(Token::Kind::kName) && !stream_.is_name("else") &&
                              !stream_.is_name("or") && !stream_.is_name("and"));
  if (stream_.is_operator("(")) {
    node->arguments = parse_arguments();
  } else if (bare_argument) {
    if (stream_.is_name("is")) stream_.fail("a test behind a test");
    node->arguments.positional.push_back(parse_postfix(parse_primary()));
  }
  std::vector<ExpressionPointer> operands;
  operands.push_back(std::move(operand));
  node = with(std::move(node), std::move(operands));
  return negated ? make_node(Kind::kNot, "", std::move(node)) : std::move(node);
}

}  // namespace helix::jinja
