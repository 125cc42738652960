#include "convert/file_hashes.h"

#include <algorithm>

#include "base/hash.h"
#include "base/mapped_file.h"

namespace helix {

std::string hash_mapped(std::span<const std::byte> bytes, std::string_view item,
                        WorkReporter& reporter) {
  constexpr std::size_t kChunkBytes = std::size_t{8} << 20;
  Sha256 hash;
  while (!bytes.empty()) {
    const auto chunk = bytes.first(std::min(bytes.size(), kChunkBytes));
    hash.add(chunk);
    release_pages(chunk);
    reporter.add(item, chunk.size());
    bytes = bytes.subspan(chunk.size());
  }
  return hash.finish();
}

FileHash hash_file(const std::filesystem::path& folder, const std::string& name,
                   WorkReporter& reporter) {
  const MappedFile file(folder / name);
  return {name, file.bytes().size(), hash_mapped(file.bytes(), name, reporter)};
}

}  // namespace helix
