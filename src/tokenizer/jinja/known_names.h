#pragma once

#include <string>

#include "tokenizer/jinja/syntax.h"

namespace helix::jinja {

// Throws Error(kUnsupported) with `name` and the line for a filter or a test that Jinja does not
// have, also where it would never run. As in Jinja, those that stand directly within an if are left
// to the rendering.
void require_known_names(const Body& body, const std::string& name);

}  // namespace helix::jinja
