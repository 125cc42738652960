#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tokenizer/jinja/value.h"

namespace helix::jinja {

struct Expression;
using ExpressionPointer = std::unique_ptr<Expression>;

struct Arguments {
  std::vector<ExpressionPointer> positional;
  std::vector<std::pair<std::string, ExpressionPointer>> keyword;
  ExpressionPointer unpacked;          // *unpacked, or null
  ExpressionPointer unpacked_keyword;  // **unpacked_keyword, or null
};

struct Expression {
  enum class Kind {
    kConstant,     // value
    kName,         // text
    kList,         // operands
    kTuple,        // operands
    kDict,         // operands: key, value, key, value, ...
    kAttribute,    // operands[0].text
    kItem,         // operands[0][operands[1]]
    kSlice,        // operands[0][operands[1]:operands[2]:operands[3]], null where left out
    kCall,         // operands[0](arguments)
    kFilter,       // operands[0] | text(arguments); operands[0] null in a filter block
    kTest,         // operands[0] is text(arguments)
    kNot,          // operands[0]
    kNegative,     // operands[0]
    kPositive,     // operands[0]
    kBinary,       // operands[0] text operands[1]: + - * / // % **
    kConcatenate,  // all operands
    kAnd,          // operands[0], operands[1]
    kOr,
    kCompare,      // operands[0] operators[0] operands[1] operators[1] operands[2] ...
    kConditional,  // operands[1] if operands[0] else operands[2], null where left out
  };
  Kind kind = Kind::kConstant;
  int line = 1;
  int depth = 1;  // of nesting
  std::string text;
  Value value;
  std::vector<ExpressionPointer> operands;
  std::vector<std::string> operators;
  Arguments arguments;
};

// Calls function(child) for every expression directly within, where there is one.
template <typename Function>
void for_each_child(const Arguments& arguments, Function function) {
  for (const auto& argument : arguments.positional) function(argument);
  for (const auto& argument : arguments.keyword) function(argument.second);
  if (arguments.unpacked) function(arguments.unpacked);
  if (arguments.unpacked_keyword) function(arguments.unpacked_keyword);
}
template <typename Function>
void for_each_child(const Expression& expression, Function function) {
  for (const auto& operand : expression.operands) {
    if (operand) function(operand);
  }
  for_each_child(expression.arguments, function);
}

// What an assignment writes to: a name, an attribute of a namespace, or several of them.
struct Target {
  std::string name;
  std::string attribute;  // "" for a plain name
  std::vector<Target> parts;
};

struct Statement;
struct Body {
  std::vector<Statement> statements;
  // Of a frame's body: what is undefined in it until it is assigned, whatever it is outside.
  std::vector<std::string> unset;
};

struct Statement {
  enum class Kind {
    kText,         // text
    kOutput,       // expression
    kIf,           // expression, body, otherwise
    kFor,          // target, expression, condition (may be null), body, otherwise
    kSet,          // target, expression
    kSetBlock,     // target, body, expression: filters (may be null)
    kFilterBlock,  // body, expression: filters
    kMacro,        // text: the name, parameters, body
    kCallBlock,    // expression: the call, parameters, body
    kWith,         // assignments, body
    kScope,        // body, with variables of its own
    kBreak,
    kContinue,
  };
  struct Parameter {
    std::string name;
    ExpressionPointer fallback;  // null where the caller must give it
  };
  Kind kind = Kind::kText;
  int line = 1;
  std::string text;
  Target target;
  ExpressionPointer expression;
  ExpressionPointer condition;
  std::vector<Parameter> parameters;
  bool names_caller = false;  // the body reads `caller`, so that it may be given
  std::vector<std::pair<Target, ExpressionPointer>> assignments;
  Body body;
  Body otherwise;
};

}  // namespace helix::jinja
