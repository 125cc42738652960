#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace helix {

// Keeps the order of keys, so that a rewritten file differs only where something changed. Looking
// up, and assigning with [], reads every key before the one sought: build large objects otherwise.
using Json = nlohmann::ordered_json;

// Parses untrusted text in time linear in its length. Throws Error(kCorruptData) naming `file` for
// malformed JSON, a key that occurs twice in one object, or nesting deeper than 100.
Json parse_json(std::string_view text, std::string_view file);

// As parse_json, for files that Python's json module wrote: NaN, Infinity and -Infinity, which JSON
// lacks, become the floats they name, and dump_python_json writes them back bare (indented by two
// spaces, with a final newline).
Json parse_python_json(std::string_view text, std::string_view file);
std::string dump_python_json(const Json& json);

}  // namespace helix
