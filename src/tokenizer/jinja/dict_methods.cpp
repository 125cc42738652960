#include "tokenizer/jinja/methods.h"
#include "tokenizer/jinja/operators.h"

namespace helix::jinja {
namespace {

Value items(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "items", arguments, {});
  std::vector<Value> pairs;
  for (const auto& [key, value] : self.dict().entries()) {
    pairs.push_back(runtime.sequence({key, value}, Sequence::Kind::kTuple));
  }
  return runtime.sequence(std::move(pairs), Sequence::Kind::kView);
}

Value keys(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "keys", arguments, {});
  return runtime.sequence(runtime.iterate(self), Sequence::Kind::kView);
}

Value values(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "values", arguments, {});
  std::vector<Value> result;
  for (const auto& entry : self.dict().entries()) result.push_back(entry.second);
  return runtime.sequence(std::move(result), Sequence::Kind::kView);
}

Value get(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "get", arguments, {"key", "default"}, 1);
  require_hashable(runtime, bound.required(0));
  if (const Value* found = runtime.find(self.dict(), bound.required(0))) return *found;
  return bound.has(1) ? bound.required(1) : Value();
}

Value copy(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "copy", arguments, {});
  return self;
}

}  // namespace

Method find_dict_method(const std::string& name) {
  if (name == "items") return items;
  if (name == "keys") return keys;
  if (name == "values") return values;
  if (name == "get") return get;
  return name == "copy" ? copy : nullptr;
}

}  // namespace helix::jinja
