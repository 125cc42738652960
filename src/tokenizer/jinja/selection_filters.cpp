#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/operators.h"

namespace helix::jinja {
namespace {

CallArguments without_first(const CallArguments& arguments, std::size_t count) {
  CallArguments rest;
  rest.positional.assign(arguments.positional.begin() + static_cast<std::ptrdiff_t>(count),
                         arguments.positional.end());
  rest.keyword = arguments.keyword;
  return rest;
}

Value map_attribute(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "map", arguments, {"attribute", "default"}, 1);
  const bool has_default = bound.has(1) && !bound.required(1).is_none();
  if (has_default && bound.required(0).is_text() &&
      bound.required(0).text().find('.') != std::string::npos) {
    runtime.unsupported("map with a path and a default");
  }
  std::vector<Value> result;
  for (const Value& item : runtime.iterate(value)) {
    const Value found = get_path(runtime, item, bound.required(0));
    result.push_back(found.is_undefined() && has_default ? bound.required(1) : found);
  }
  return runtime.sequence(std::move(result), Sequence::Kind::kIterator);
}

// Jinja looks at nothing else where the value is falsy, whatever it is.
Value nothing(Runtime& runtime) { return runtime.sequence({}, Sequence::Kind::kIterator); }

Value map(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  if (!value.truth()) return nothing(runtime);
  if (arguments.positional.empty()) return map_attribute(runtime, value, arguments);
  if (!arguments.positional[0].is_text()) runtime.fail("map: the filter's name is no string");
  const CallArguments rest = without_first(arguments, 1);
  std::vector<Value> result;
  for (const Value& item : runtime.iterate(value)) {
    result.push_back(apply_filter(runtime, arguments.positional[0].text(), item, rest));
  }
  return runtime.sequence(std::move(result), Sequence::Kind::kIterator);
}

// select, reject, selectattr, rejectattr: [attribute,] [test, its arguments].
template <bool kKeep, bool kByAttribute>
Value select(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  if (!value.truth()) return nothing(runtime);
  constexpr std::size_t kTest = kByAttribute ? 1 : 0;
  if (arguments.positional.size() < kTest) runtime.fail("missing the name of the attribute");
  const bool has_test = arguments.positional.size() > kTest;
  if (has_test && !arguments.positional[kTest].is_text()) {
    runtime.fail("the test's name is no string");
  }
  if (!has_test && !arguments.keyword.empty())
    runtime.unsupported("named arguments of a selection");
  const CallArguments rest = without_first(arguments, has_test ? kTest + 1 : kTest);
  std::vector<Value> result;
  for (const Value& item : runtime.iterate(value)) {
    const Value subject = kByAttribute ? get_path(runtime, item, arguments.positional[0]) : item;
    const bool holds = has_test
                           ? apply_test(runtime, arguments.positional[kTest].text(), subject, rest)
                           : subject.truth();
    if (holds == kKeep) result.push_back(item);
  }
  return runtime.sequence(std::move(result), Sequence::Kind::kIterator);
}

}  // namespace

const FilterTable& selection_filters() {
  static const FilterTable table{
      {"map", map},
      {"select", select<true, false>},
      {"reject", select<false, false>},
      {"selectattr", select<true, true>},
      {"rejectattr", select<false, true>},
  };
  return table;
}

}  // namespace helix::jinja
