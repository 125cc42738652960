#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "convert/work_reporter.h"

namespace helix {

struct FileHash {
  std::string name;  // relative to the folder
  std::uint64_t bytes = 0;
  std::string sha256;
};

// SHA-256 of mapped bytes, in chunks that report progress and drop the pages they are done with.
std::string hash_mapped(std::span<const std::byte> bytes, std::string_view item,
                        WorkReporter& reporter);
FileHash hash_file(const std::filesystem::path& folder, const std::string& name,
                   WorkReporter& reporter);

}  // namespace helix
