#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"

namespace helix {

// What `quantization_config` of a config.json says of an HXQ checkpoint (docs/format.md).
struct QuantizationConfig {
  bool compressed = false;     // one of the HXQ methods
  std::string foreign_method;  // of another quantisation ("gptq", ...), or ""
  std::vector<std::string> compressed_modules;
};

// The text of a config.json. Throws Error(kCorruptData) naming `file` unless it is a JSON object.
Json parse_config(std::string_view text, std::string_view file);

// Throws Error(kCorruptData) naming `file` where the section is there and malformed. The list of
// modules is read for the HXQ methods only.
QuantizationConfig read_quantization_config(const Json& config, std::string_view file);

// The dense shape (out, in) that `module_shapes` gives; nothing where it does not have the module.
// Throws Error(kCorruptData) naming `file` for anything but a pair of sizes.
std::optional<std::pair<std::uint64_t, std::uint64_t>> listed_dense_shape(const Json& config,
                                                                          std::string_view module,
                                                                          std::string_view file);

}  // namespace helix
