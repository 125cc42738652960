#include "tokenizer/jinja/functions.h"

#include <ctime>

#include "base/message.h"

namespace helix::jinja {
namespace {

using Function = Value (*)(Runtime& runtime, const CallArguments& arguments);

Value range(Runtime& runtime, const CallArguments& arguments) {
  constexpr std::int64_t kMaxRange = 100'000;  // the sandbox's own limit
  const BoundArguments bound(runtime, "range", arguments, {"start", "stop", "step"}, 1);
  const std::int64_t start = bound.has(1) ? bound.integer(0, 0) : 0;
  const std::int64_t stop = bound.integer(bound.has(1) ? 1 : 0, 0);
  const std::int64_t step = bound.integer(2, 1);
  if (step == 0) runtime.fail("range() arg 3 must not be zero");
  std::vector<Value> items;
  for (std::int64_t i = start; step > 0 ? i < stop : i > stop;) {
    if (items.size() == kMaxRange) runtime.fail("a range larger than 100000");
    items.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  runtime.step(items.size() / 8);
  return runtime.sequence(std::move(items), Sequence::Kind::kRange);
}

std::vector<Dict::Entry> keyword_entries(Runtime& runtime, const char* function,
                                         const CallArguments& arguments) {
  std::vector<Dict::Entry> entries;
  if (arguments.positional.size() > 1 ||
      (arguments.positional.size() == 1 && !arguments.positional[0].is_dict())) {
    runtime.unsupported(concat(function, " of something other than a dict"));
  }
  if (!arguments.positional.empty()) entries = arguments.positional[0].dict().entries();
  for (const auto& [name, value] : arguments.keyword) {
    entries.emplace_back(Value::text(name), value);
  }
  return entries;
}

Value make_dict(Runtime& runtime, const CallArguments& arguments) {
  return runtime.dict(keyword_entries(runtime, "dict", arguments));
}

Value make_namespace(Runtime& runtime, const CallArguments& arguments) {
  auto state = std::make_shared<Namespace>();
  for (auto& [name, value] : keyword_entries(runtime, "namespace", arguments)) {
    runtime.require_data(value);
    if (!name.is_text()) runtime.unsupported("a namespace attribute that is no string");
    if (name.text().starts_with("_")) runtime.fail("a namespace attribute with an underscore");
    state->attributes[name.text()] = value;
  }
  return Value::State(std::move(state));
}

Value raise_exception(Runtime& runtime, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "raise_exception", arguments, {"message"}, 1);
  runtime.fail(runtime.to_text(bound.required(0)));
}

Value strftime_now(Runtime& runtime, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "strftime_now", arguments, {"format"}, 1);
  const std::string& format = bound.text(0);
  if (format.size() > 200) runtime.unsupported("a date format so long");
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  if (localtime_r(&now, &parts) == nullptr) runtime.fail("no local time");
  char text[4096];
  const std::size_t size = std::strftime(text, sizeof text, format.c_str(), &parts);
  return runtime.text(std::string(text, size));
}

Function function_of(const std::string& name) {
  if (name == "range") return range;
  if (name == "dict") return make_dict;
  if (name == "namespace") return make_namespace;
  if (name == "raise_exception") return raise_exception;
  return name == "strftime_now" ? strftime_now : nullptr;
}

}  // namespace

std::optional<Value> find_function(Runtime& runtime, const std::string& name) {
  for (const char* missing : {"cycler", "joiner", "lipsum", "self", "varargs", "kwargs"}) {
    if (name == missing) runtime.unsupported("the name " + name);
  }
  const Function function = function_of(name);
  if (function == nullptr) return std::nullopt;
  auto callable = std::make_shared<Callable>();
  callable->name = name;
  callable->call = function;
  return Value::Function(std::move(callable));
}

}  // namespace helix::jinja
