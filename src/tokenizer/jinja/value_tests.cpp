#include <algorithm>
#include <iterator>
#include <string_view>

#include "base/message.h"
#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/operators.h"
#include "tokenizer/jinja/text_case.h"

namespace helix::jinja {
namespace {

using Test = bool (*)(Runtime& runtime, const Value& value, const Value* argument);

struct Entry {
  Test test;
  bool takes_argument;
};

bool is_mapping(const Value& value) { return value.is_dict(); }

// What has a length and takes subscripts.
bool is_sequence(Runtime&, const Value& value, const Value*) {
  return value.is_text() || value.is_dict() || value.is_indexable() || value.is_undefined();
}

// An undefined value can be called, which fails.
bool is_callable(Runtime&, const Value& value, const Value*) {
  return value.is_function() || value.is_undefined();
}

bool is_iterable(Runtime&, const Value& value, const Value*) {
  return value.is_text() || value.is_dict() || value.is_sequence() || value.is_undefined();
}

std::int64_t require_integer(Runtime& runtime, const Value& value) {
  if (!value.is_integer() && !value.is_bool()) runtime.fail("this test takes integers");
  return value.integer();
}

bool is_divisible(Runtime& runtime, const Value& value, const Value* argument) {
  const std::int64_t divisor = require_integer(runtime, *argument);
  if (divisor == 0) runtime.fail("division by zero");
  return divisor == -1 || require_integer(runtime, value) % divisor == 0;
}

bool is_same(Runtime& runtime, const Value& value, const Value* argument) {
  const bool constant = argument->is_none() || argument->is_bool();
  if (!constant) runtime.unsupported("'sameas' of anything but none, true and false");
  if (argument->is_none()) return value.is_none();
  return value.is_bool() && value.boolean() == argument->boolean();
}

template <char kOperator, bool kOrEqual>
bool order(Runtime& runtime, const Value& value, const Value* argument) {
  constexpr char kSpelling[] = {kOperator, kOrEqual ? '=' : '\0', '\0'};
  return compare(runtime, kSpelling, value, *argument);
}

const std::map<std::string, Entry, std::less<>>& tests() {
  using V = const Value&;
  using R = Runtime&;
  static const Test equal_to = [](R r, V v, const Value* a) { return compare(r, "==", v, *a); };
  static const Test not_equal = [](R r, V v, const Value* a) { return compare(r, "!=", v, *a); };
  static const std::map<std::string, Entry, std::less<>> table{
      {"defined", {[](R, V v, const Value*) { return !v.is_undefined(); }, false}},
      {"undefined", {[](R, V v, const Value*) { return v.is_undefined(); }, false}},
      {"none", {[](R, V v, const Value*) { return v.is_none(); }, false}},
      {"string", {[](R, V v, const Value*) { return v.is_text(); }, false}},
      {"mapping", {[](R, V v, const Value*) { return is_mapping(v); }, false}},
      {"sequence", {is_sequence, false}},
      {"iterable", {is_iterable, false}},
      {"boolean", {[](R, V v, const Value*) { return v.is_bool(); }, false}},
      {"number", {[](R, V v, const Value*) { return v.is_number(); }, false}},
      {"integer", {[](R, V v, const Value*) { return v.is_integer(); }, false}},
      {"float", {[](R, V v, const Value*) { return v.is_float(); }, false}},
      {"true", {[](R, V v, const Value*) { return v.is_bool() && v.boolean(); }, false}},
      {"false", {[](R, V v, const Value*) { return v.is_bool() && !v.boolean(); }, false}},
      {"callable", {is_callable, false}},
      {"lower", {[](R r, V v, const Value*) { return is_lower_text(r.to_text(v)); }, false}},
      {"upper", {[](R r, V v, const Value*) { return is_upper_text(r.to_text(v)); }, false}},
      {"odd", {[](R r, V v, const Value*) { return require_integer(r, v) % 2 != 0; }, false}},
      {"even", {[](R r, V v, const Value*) { return require_integer(r, v) % 2 == 0; }, false}},
      {"divisibleby", {is_divisible, true}},
      {"sameas", {is_same, true}},
      {"in", {[](R r, V v, const Value* a) { return contains(r, *a, v); }, true}},
      {"equalto", {equal_to, true}},
      {"eq", {equal_to, true}},
      {"ne", {not_equal, true}},
      {"lt", {order<'<', false>, true}},
      {"lessthan", {order<'<', false>, true}},
      {"le", {order<'<', true>, true}},
      {"gt", {order<'>', false>, true}},
      {"greaterthan", {order<'>', false>, true}},
      {"ge", {order<'>', true>, true}},
  };
  return table;
}

}  // namespace

bool is_test(const std::string& name) {
  static constexpr std::string_view kMissing[] = {"escaped", "filter", "test"};
  return tests().contains(name) ||
         std::find(std::begin(kMissing), std::end(kMissing), name) != std::end(kMissing);
}

bool apply_test(Runtime& runtime, const std::string& name, const Value& value,
                const CallArguments& arguments) {
  runtime.step();
  // select("==", x) names a test by its operator.
  static const std::map<std::string, std::string, std::less<>> operators{
      {"==", "eq"}, {"!=", "ne"}, {"<", "lt"}, {"<=", "le"}, {">", "gt"}, {">=", "ge"}};
  const auto spelled = operators.find(name);
  const auto entry = tests().find(spelled == operators.end() ? name : spelled->second);
  if (entry == tests().end()) runtime.unsupported("the test '" + name + "'");
  if (!entry->second.takes_argument) {
    const BoundArguments bound(runtime, name, arguments, {});
    return entry->second.test(runtime, value, nullptr);
  }
  const BoundArguments bound(runtime, name, arguments, {"other"}, 1);
  return entry->second.test(runtime, value, bound.get(0));
}

}  // namespace helix::jinja
