#pragma once

#include <string>

#include "tokenizer/jinja/runtime.h"
#include "tokenizer/jinja/scope.h"
#include "tokenizer/jinja/syntax.h"

namespace helix::jinja {

// The value of an expression in a scope.
Value evaluate(Runtime& runtime, const Expression& expression, const Scope& scope);
// As evaluate for a chain of filters whose innermost operand is missing.
Value evaluate_filters(Runtime& runtime, const Expression& filters, const Scope& scope,
                       const Value& operand);
CallArguments evaluate_arguments(Runtime& runtime, const Arguments& arguments, const Scope& scope);

}  // namespace helix::jinja
