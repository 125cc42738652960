#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/file.h"
#include "base/json.h"

namespace helix::testing {

inline std::filesystem::path repository() {
  return std::filesystem::path(__FILE__).parent_path().parent_path().parent_path().parent_path();
}

// Real tokenizers and conformance vectors; may be absent.
inline std::filesystem::path shared_data() {
  const char* folder = std::getenv("HELIX_TEST_DATA");
  return folder != nullptr ? std::filesystem::path(folder)
                           : repository().parent_path() / "shared" / "data";
}

inline Json read_json(const std::filesystem::path& path) {
  return parse_json(read_file(path), path.string());
}

}  // namespace helix::testing
