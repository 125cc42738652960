#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

namespace helix {

// Keeps the order of keys, so that a rewritten file differs only where something changed.
using Json = nlohmann::ordered_json;

// Parses untrusted text. Throws Error(kCorruptData) naming `file` for malformed JSON, a key that
// occurs twice in one object, or nesting deeper than 100.
Json parse_json(std::string_view text, std::string_view file);

}  // namespace helix
