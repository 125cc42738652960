#pragma once

#include <string>

#include "tokenizer/jinja/runtime.h"
#include "tokenizer/jinja/scope.h"
#include "tokenizer/jinja/syntax.h"

namespace helix::jinja {

// The text of a template with these variables.
std::string render(Runtime& runtime, const Body& body, Scope& variables);

}  // namespace helix::jinja
