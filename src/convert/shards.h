#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace helix {

// Which items go into which weight file.
struct ShardAssignment {
  std::string file_name;
  std::vector<std::size_t> items;
};

// Throws Error(kInvalidArgument) for 0.
void check_shard_bytes(std::uint64_t shard_bytes);

// Fills shards in order, each up to `shard_bytes` unless a single item is larger. The names follow
// the ecosystem's convention: model.safetensors, or model-00001-of-00003.safetensors.
std::vector<ShardAssignment> assign_shards(std::span<const std::uint64_t> item_bytes,
                                           std::uint64_t shard_bytes);

// model.safetensors.index.json, where there is more than one shard.
void write_shard_index(const std::filesystem::path& folder,
                       const std::map<std::string, std::string>& file_of_key,
                       std::uint64_t total_bytes);

}  // namespace helix
