// The text of a shard index: no shard that is accepted lies outside the folder.

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>

#include "fuzz/require.h"
#include "helix/error.h"
#include "safetensors/tensor_store.h"

namespace helix {
namespace {

using fuzz::require;

void check_shard(const std::string& shard) {
  static const std::filesystem::path folder = "/models/one";
  const std::filesystem::path path = (folder / shard).lexically_normal();
  require(path.parent_path() == folder, "a shard outside the folder");
  require(path.filename() == shard, "a shard that is no plain file name");
  require(std::string(path.c_str()) == path.string(), "a shard name that the system cuts short");
}

}  // namespace
}  // namespace helix

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    std::set<std::string> names;
    for (const auto& [tensor, shard] : helix::parse_shard_index(text, "input")) {
      helix::fuzz::require(names.insert(tensor).second, "a tensor occurs twice");
      helix::check_shard(shard);
    }
  } catch (const helix::Error&) {
  }
  return 0;
}
