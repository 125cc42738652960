#pragma once

#include <string>
#include <string_view>

#include "tokenizer/jinja/syntax.h"

namespace helix::jinja {

// Throws Error(kCorruptData) for broken syntax, Error(kUnsupported) for a statement that is not
// known, both with `name` and the line.
Body parse_template(std::string_view source, const std::string& name);

}  // namespace helix::jinja
