#include "tokenizer/jinja/evaluator.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/message.h"
#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/functions.h"
#include "tokenizer/jinja/operators.h"

namespace helix::jinja {
namespace {

bool is_constant(const Expression& node) {
  bool result = node.kind != Expression::Kind::kName;
  for_each_child(node,
                 [&](const ExpressionPointer& child) { result = result && is_constant(*child); });
  return result;
}

class Evaluator {
 public:
  Evaluator(Runtime& runtime, const Scope& scope, const Value* filter_operand)
      : runtime_(runtime), scope_(scope), filter_operand_(filter_operand) {}

  // As any, for what takes no markup: most operations treat it apart from other text.
  Value run(const Expression& node) {
    Value result = any(node);
    if (result.is_markup()) runtime_.unsupported("what 'safe' or 'escape' gave, used like this,");
    return result;
  }

  Value any(const Expression& node) {
    const Runtime::Depth depth(runtime_);
    runtime_.step();
    runtime_.set_line(node.line);
    Value result = dispatch(node);
    runtime_.set_line(node.line);
    return result;
  }

  CallArguments arguments(const Arguments& nodes) {
    CallArguments result;
    for (const auto& node : nodes.positional) result.positional.push_back(run(*node));
    for (const auto& [name, node] : nodes.keyword) result.keyword.emplace_back(name, run(*node));
    if (nodes.unpacked) {
      for (Value& value : runtime_.iterate(run(*nodes.unpacked))) {
        result.positional.push_back(std::move(value));
      }
    }
    if (nodes.unpacked_keyword) unpack_keyword(run(*nodes.unpacked_keyword), result);
    return result;
  }

 private:
  using Kind = Expression::Kind;

  Value dispatch(const Expression& node) {
    switch (node.kind) {
      case Kind::kConstant: return node.value;
      case Kind::kName: return name(node.text);
      case Kind::kList: return runtime_.sequence(operands(node));
      case Kind::kTuple: return runtime_.sequence(operands(node), Sequence::Kind::kTuple);
      case Kind::kDict: return dict(node);
      case Kind::kAttribute: return get_attribute(runtime_, operand(node, 0), node.text);
      case Kind::kItem: return item(node);
      case Kind::kSlice: return slice(node);
      case Kind::kCall: return call_node(node);
      case Kind::kFilter: return filter(node);
      case Kind::kTest: return test(node);
      case Kind::kNot: return !any_operand(node, 0).truth();
      case Kind::kNegative: return negative(runtime_, operand(node, 0));
      case Kind::kPositive: return negative(runtime_, negative(runtime_, operand(node, 0)));
      case Kind::kBinary: return binary_node(node);
      case Kind::kConcatenate: return concatenate(node);
      case Kind::kAnd: return logical(node, false);
      case Kind::kOr: return logical(node, true);
      case Kind::kCompare: return comparison(node);
      case Kind::kConditional: return conditional(node);
    }
    return Value();
  }

  Value operand(const Expression& node, std::size_t index) { return run(*node.operands[index]); }
  Value any_operand(const Expression& node, std::size_t i) { return any(*node.operands[i]); }

  void unpack_keyword(const Value& value, CallArguments& result) {
    if (!value.is_dict()) runtime_.fail("the argument behind ** is no mapping");
    std::vector<std::pair<std::string, Value>> unpacked;
    for (const auto& [key, element] : value.dict().entries()) {
      runtime_.step(1 + result.keyword.size());
      if (!key.is_text()) runtime_.fail("keywords must be strings");
      for (const auto& argument : result.keyword) {
        if (argument.first == key.text()) runtime_.fail(concat(key.text(), " given twice"));
      }
      unpacked.emplace_back(key.text(), element);
    }
    std::move(unpacked.begin(), unpacked.end(), std::back_inserter(result.keyword));
  }

  std::vector<Value> operands(const Expression& node) {
    std::vector<Value> result;
    for (const auto& child : node.operands) result.push_back(run(*child));
    return result;
  }

  Value name(const std::string& text) {
    if (const Value* found = scope_.find(text)) return *found;
    if (const auto function = find_function(runtime_, text)) return *function;
    return Undefined{text};
  }

  Value dict(const Expression& node) {
    std::vector<Dict::Entry> entries;
    for (std::size_t i = 0; i < node.operands.size(); i += 2) {
      Value key = operand(node, i);
      entries.emplace_back(std::move(key), operand(node, i + 1));
    }
    return runtime_.dict(std::move(entries));
  }

  Value item(const Expression& node) {
    const Value container = operand(node, 0);
    return get_item(runtime_, container, operand(node, 1));
  }

  Value slice(const Expression& node) {
    const auto part = [&](std::size_t i) { return node.operands[i] ? operand(node, i) : Value(); };
    const Value container = operand(node, 0);
    const Value start = part(1);
    const Value stop = part(2);
    return get_slice(runtime_, container, start, stop, part(3));
  }

  Value call_node(const Expression& node) {
    const Value callee = operand(node, 0);
    const CallArguments given = arguments(node.arguments);
    runtime_.set_line(node.line);
    return call(runtime_, callee, given);
  }

  Value filter(const Expression& node) {
    const Value subject = filter_subject(node);
    const CallArguments given = arguments(node.arguments);
    runtime_.set_line(node.line);
    return apply_filter(runtime_, node.text, subject, given);
  }

  Value filter_subject(const Expression& node) {
    if (!node.operands[0]) return *filter_operand_;
    return takes_markup(node.text) ? any_operand(node, 0) : operand(node, 0);
  }

  Value test(const Expression& node) {
    const Value subject = any_operand(node, 0);
    const CallArguments given = arguments(node.arguments);
    runtime_.set_line(node.line);
    return apply_test(runtime_, node.text, subject, given);
  }

  Value binary_node(const Expression& node) {
    const bool adds = node.text == "+";
    const Value left = adds ? any_operand(node, 0) : operand(node, 0);
    const Value right = adds ? any_operand(node, 1) : operand(node, 1);
    runtime_.set_line(node.line);
    // Jinja writes -2 ** x for (-2) ** x once it has computed the constant: another number.
    if (node.text == "**" && left.is_number() && std::signbit(left.number()) &&
        is_constant(*node.operands[0]) && !is_constant(*node.operands[1])) {
      runtime_.unsupported("a negative constant to a power");
    }
    return binary(runtime_, node.text, left, right);
  }

  Value concatenate(const Expression& node) {
    std::string text;
    for (const auto& child : node.operands) text += runtime_.to_text(any(*child));
    return runtime_.text(std::move(text));
  }

  Value logical(const Expression& node, bool stops_at) {
    Value left = any_operand(node, 0);
    return left.truth() == stops_at ? left : any_operand(node, 1);
  }

  Value comparison(const Expression& node) {
    Value left = any_operand(node, 0);
    for (std::size_t i = 0; i < node.operators.size(); ++i) {
      Value right = any_operand(node, i + 1);
      runtime_.set_line(node.line);
      if (!compare(runtime_, node.operators[i], left, right)) return false;
      left = std::move(right);
    }
    return true;
  }

  Value conditional(const Expression& node) {
    if (any_operand(node, 0).truth()) return any_operand(node, 1);
    if (node.operands[2]) return any_operand(node, 2);
    return Undefined{
        "the inline if-expression evaluated to false and no else section was defined."};
  }

  Runtime& runtime_;
  const Scope& scope_;
  const Value* filter_operand_;
};

}  // namespace

Value evaluate(Runtime& runtime, const Expression& expression, const Scope& scope) {
  return Evaluator(runtime, scope, nullptr).any(expression);
}

Value evaluate_filters(Runtime& runtime, const Expression& filters, const Scope& scope,
                       const Value& operand) {
  return Evaluator(runtime, scope, &operand).any(filters);
}

CallArguments evaluate_arguments(Runtime& runtime, const Arguments& arguments, const Scope& scope) {
  return Evaluator(runtime, scope, nullptr).arguments(arguments);
}

}  // namespace helix::jinja
