#pragma once

#include <string>
#include <string_view>

namespace helix {

// The name of a Unicode property as both libraries compare it: small letters without space, "-"
// and "_".
std::string property_key(std::string_view name);

// The name by which PCRE2 knows the property that Oniguruma means.
std::string property_for_pcre2(std::string_view name);

}  // namespace helix
