#pragma once

#include <optional>
#include <string>

#include "tokenizer/jinja/runtime.h"

namespace helix::jinja {

// The global functions of a chat template: range, dict, namespace, raise_exception, strftime_now.
// Nothing for another name; throws Error(kUnsupported) for what Jinja knows and is missing here.
std::optional<Value> find_function(Runtime& runtime, const std::string& name);

}  // namespace helix::jinja
