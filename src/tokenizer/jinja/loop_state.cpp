#include "tokenizer/jinja/loop_state.h"

namespace helix::jinja {
namespace {

Value function(std::string name,
               std::function<Value(Runtime&, const CallArguments&)> implementation) {
  auto callable = std::make_shared<Callable>();
  callable->name = std::move(name);
  callable->call = std::move(implementation);
  return Value::Function(std::move(callable));
}

Value cycle(std::size_t index) {
  return function("cycle", [index](Runtime& runtime, const CallArguments& arguments) {
    if (arguments.positional.empty()) runtime.fail("no items for cycling given");
    return arguments.positional[index % arguments.positional.size()];
  });
}

// loop.changed(x): whether x differs from the last call's.
Value changed(std::shared_ptr<Value> last) {
  return function(
      "changed",
      [last = std::move(last)](Runtime& runtime, const CallArguments& arguments) -> Value {
        if (!arguments.keyword.empty()) runtime.fail("changed() takes no named arguments");
        const Value now = runtime.sequence(arguments.positional, Sequence::Kind::kTuple);
        if (runtime.equal(*last, now)) return false;
        *last = now;
        return true;
      });
}

}  // namespace

Value LoopState::at(std::size_t index) {
  const auto number = [](std::size_t value) { return Value(static_cast<std::int64_t>(value)); };
  const std::size_t count = items_.size();
  auto state = std::make_shared<Namespace>();
  state->is_loop = true;
  auto& attributes = state->attributes;
  attributes["index"] = number(index + 1);
  attributes["index0"] = number(index);
  attributes["revindex"] = number(count - index);
  attributes["revindex0"] = number(count - index - 1);
  attributes["first"] = index == 0;
  attributes["last"] = index + 1 == count;
  attributes["length"] = number(count);
  attributes["depth"] = number(depth_);
  attributes["depth0"] = number(depth_ - 1);
  attributes["previtem"] = index > 0 ? items_[index - 1] : Value(Undefined{"loop.previtem"});
  attributes["nextitem"] =
      index + 1 < count ? items_[index + 1] : Value(Undefined{"loop.nextitem"});
  attributes["cycle"] = cycle(index);
  attributes["changed"] = changed(changed_);
  return Value::State(std::move(state));
}

}  // namespace helix::jinja
