#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "safetensors/safetensors_file.h"

namespace helix {

struct StoredTensor {
  std::string name;
  TensorView view;
  std::uint32_t file = 0;  // into TensorStore::files()
};

inline constexpr std::string_view kSingleFileName = "model.safetensors";
inline constexpr std::string_view kIndexFileName = "model.safetensors.index.json";

// Shard names by tensor name, from the text of an index file. Throws Error(kCorruptData) where it
// is malformed or a shard name would leave the folder.
std::vector<std::pair<std::string, std::string>> parse_shard_index(std::string_view text,
                                                                   std::string_view file);

// Every tensor of a model folder: one `model.safetensors`, or the shards that the index file names.
// Immutable after opening; several threads may read. Views live as long as the store.
class TensorStore {
 public:
  // Validates every file in full. Throws Error(kNotFound) where the folder holds no safetensors
  // (with advice where it holds pytorch_model.bin), where a shard is absent or a tensor is not in
  // the shard the index names.
  explicit TensorStore(const std::filesystem::path& folder);

  const std::vector<StoredTensor>& tensors() const {
    return tensors_;
  }                                                       // by file, then by position in it
  const StoredTensor* find(std::string_view name) const;  // null where there is none
  const std::vector<SafetensorsFile>& files() const { return files_; }
  // "NAME of SHARD" for what shards hold beside the tensors that the index lists there.
  const std::vector<std::string>& unlisted() const { return unlisted_; }

 private:
  void open(const std::filesystem::path& folder);
  void open_shards(const std::filesystem::path& folder);
  void add_file(const std::filesystem::path& path);

  std::vector<SafetensorsFile> files_;
  std::vector<StoredTensor> tensors_;
  std::vector<std::string> unlisted_;
  std::unordered_map<std::string_view, std::size_t> by_name_;
};

}  // namespace helix
