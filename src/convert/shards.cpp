#include "convert/shards.h"

#include <cstdio>

#include "base/file.h"
#include "base/json.h"
#include "base/message.h"
#include "safetensors/tensor_store.h"

namespace helix {

void check_shard_bytes(std::uint64_t shard_bytes) {
  if (shard_bytes == 0) {
    throw_error(ErrorCode::kInvalidArgument, "weight files of 0 bytes, expected at least 1");
  }
}

std::vector<ShardAssignment> assign_shards(std::span<const std::uint64_t> item_bytes,
                                           std::uint64_t shard_bytes) {
  std::vector<ShardAssignment> shards(1);
  std::uint64_t filled = 0;
  for (std::size_t item = 0; item < item_bytes.size(); ++item) {
    if (filled + item_bytes[item] > shard_bytes && !shards.back().items.empty()) {
      shards.emplace_back();
      filled = 0;
    }
    shards.back().items.push_back(item);
    filled += item_bytes[item];
  }
  for (std::size_t i = 0; i < shards.size(); ++i) {
    char name[64];
    std::snprintf(name, sizeof(name), "model-%05zu-of-%05zu.safetensors", i + 1, shards.size());
    shards[i].file_name = shards.size() == 1 ? std::string(kSingleFileName) : std::string(name);
  }
  return shards;
}

void write_shard_index(const std::filesystem::path& folder,
                       const std::map<std::string, std::string>& file_of_key,
                       std::uint64_t total_bytes) {
  const Json index = {{"metadata", {{"total_size", total_bytes}}}, {"weight_map", file_of_key}};
  write_file_atomically(folder / kIndexFileName, index.dump(2) + "\n");
}

}  // namespace helix
