#pragma once

#include <optional>
#include <string>

#include "tokenizer/jinja/runtime.h"

namespace helix::jinja {

// The Python method `name` of strings, dicts and lists, bound to `value`; nothing where Python has
// none of that name. Throws Error(kUnsupported) for one that Python has and this interpreter, or
// the sandbox, has not.
std::optional<Value> find_method(Runtime& runtime, const Value& value, const std::string& name);

using Method = Value (*)(Runtime& runtime, const Value& self, const CallArguments& arguments);
// Null where there is no such method.
Method find_text_method(const std::string& name);
Method find_dict_method(const std::string& name);

Value format_method(Runtime& runtime, const Value& self, const CallArguments& arguments);

}  // namespace helix::jinja
