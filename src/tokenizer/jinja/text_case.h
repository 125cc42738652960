#pragma once

#include <string>
#include <string_view>

#include "tokenizer/jinja/runtime.h"

namespace helix::jinja {

// Python's str.upper(), lower(), title() and capitalize(). Characters whose other case is more than
// one letter are Error(kUnsupported) where it is not known here.
std::string upper(Runtime& runtime, std::string_view text);
std::string lower(Runtime& runtime, std::string_view text);
std::string title(Runtime& runtime, std::string_view text);
// str.isupper() and str.islower().
bool is_upper_text(std::string_view text);
bool is_lower_text(std::string_view text);
std::string capitalize(Runtime& runtime, std::string_view text);

}  // namespace helix::jinja
