#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tokenizer/jinja/runtime.h"

namespace helix::jinja {

// Python's operators on template values.
Value binary(Runtime& runtime, std::string_view spelling, const Value& left, const Value& right);
Value negative(Runtime& runtime, const Value& value);
bool compare(Runtime& runtime, std::string_view spelling, const Value& left, const Value& right);
bool contains(Runtime& runtime, const Value& container, const Value& element);
// Fails for what Python cannot look for in a dict.
void require_hashable(Runtime& runtime, const Value& key);

// value.name, value[key] and value[start:stop:step], with Jinja's rule that either of the first two
// tries the other and gives Undefined.
Value get_attribute(Runtime& runtime, const Value& value, const std::string& name);
Value get_item(Runtime& runtime, const Value& value, const Value& key);
Value get_slice(Runtime& runtime, const Value& value, const Value& start, const Value& stop,
                const Value& step);
// What map(attribute="a.b.0") looks up.
Value get_path(Runtime& runtime, Value value, const Value& path);

Value call(Runtime& runtime, const Value& callee, const CallArguments& arguments);

}  // namespace helix::jinja
