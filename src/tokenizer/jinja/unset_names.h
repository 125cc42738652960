#pragma once

#include <string>

#include "tokenizer/jinja/syntax.h"

namespace helix::jinja {

// Jinja decides where a name lives when it compiles: what a frame (the template, a loop's turn, a
// macro, a block) assigns whatever happens, and neither reads before nor knows from outside, is its
// own from its begin, undefined until then. Fills in Body::unset.
void find_unset_names(Body& body, const std::string& name);

}  // namespace helix::jinja
