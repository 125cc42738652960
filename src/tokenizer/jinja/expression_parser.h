#pragma once

#include "tokenizer/jinja/syntax.h"
#include "tokenizer/jinja/token_stream.h"

namespace helix::jinja {

// Jinja's expression grammar, in its own order of precedence.
class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& stream) : stream_(stream) {}

  ExpressionPointer parse_expression() { return parse_conditional(); }
  // "a" or "a, b": what print, if and set take.
  ExpressionPointer parse_tuple(bool with_conditional = true);
  // What follows a value: "| name(arguments) | name"; `operand` may be null.
  ExpressionPointer parse_filters(ExpressionPointer operand);
  Arguments parse_arguments();  // from "(" on
  // How often `caller` was read until now.
  int callers_read() const { return callers_read_; }

 private:
  using Kind = Expression::Kind;

  ExpressionPointer make(Kind kind, std::string text = {}) const;
  ExpressionPointer with(ExpressionPointer node, std::vector<ExpressionPointer> operands) const;
  template <typename... Operands>
  ExpressionPointer make_node(Kind kind, std::string text, Operands... operands) const;

  ExpressionPointer parse_conditional();
  ExpressionPointer parse_or();
  ExpressionPointer parse_and();
  ExpressionPointer parse_not();
  ExpressionPointer parse_compare();
  ExpressionPointer parse_sum();
  ExpressionPointer parse_concatenation();
  ExpressionPointer parse_product();
  ExpressionPointer parse_power();
  ExpressionPointer parse_unary(bool with_filters);
  ExpressionPointer parse_primary();
  ExpressionPointer parse_parentheses();
  ExpressionPointer parse_list();
  ExpressionPointer parse_dict();
  ExpressionPointer parse_postfix(ExpressionPointer operand);
  ExpressionPointer parse_filters_and_tests(ExpressionPointer operand);
  ExpressionPointer parse_call(ExpressionPointer callee);
  void parse_argument(Arguments& arguments);
  ExpressionPointer parse_attribute(ExpressionPointer operand);
  ExpressionPointer parse_subscript(ExpressionPointer operand);
  ExpressionPointer parse_slice(ExpressionPointer operand, ExpressionPointer start);
  ExpressionPointer parse_test(ExpressionPointer operand);
  bool ends_tuple() const;
  bool ends_slice_part() const;

  TokenStream& stream_;
  int callers_read_ = 0;
};

}  // namespace helix::jinja
