#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "helix/compressed_tensor.h"
#include "helix/progress.h"
#include "safetensors/tensor_store.h"

namespace helix {

// The stored parts of one compressed module, as found in the files; null where there is none.
struct ModuleParts {
  std::string name;       // the dense key without ".weight"
  std::string dense_key;  // "{name}.weight", or `name` itself for a bare parameter
  const StoredTensor* codebook = nullptr;
  const StoredTensor* indices = nullptr;
  const StoredTensor* sidecar_positions = nullptr;
  const StoredTensor* sidecar_values = nullptr;
  const StoredTensor* svd_u = nullptr;
  const StoredTensor* svd_s = nullptr;
  const StoredTensor* svd_vt = nullptr;
  const StoredTensor* channel_scales = nullptr;
  const StoredTensor* exact =
      nullptr;  // the dense key is in the file as well, with content: it wins
};

// A Hugging Face model folder, dense or HXQ: config.json, the tensors, and which of them form
// compressed modules. Immutable after opening; several threads may read. Everything it lends lives
// as long as the object.
class Checkpoint {
 public:
  // Opens and validates the container: config, shards, and that every module is complete. Module
  // contents are validated by load_module. Warnings (ignored keys by name) go to `hooks`.
  explicit Checkpoint(const std::filesystem::path& folder, const Hooks& hooks = {});

  const std::filesystem::path& folder() const { return folder_; }
  const Json& config() const { return config_; }
  const TensorStore& store() const { return store_; }

  // True where config.json names one of the HXQ methods: "hxq", "cdna_v3", "helix".
  bool is_compressed() const { return compressed_; }
  // The method of another quantisation ("gptq", ...), or "".
  const std::string& foreign_quantization() const { return foreign_quantization_; }

  // Ordered by name.
  const std::map<std::string, ModuleParts, std::less<>>& modules() const { return modules_; }
  const std::vector<const StoredTensor*>& exact_tensors() const { return exact_; }
  const std::vector<const StoredTensor*>& ignored_tensors() const { return ignored_; }
  // keys = 2C + 2S + 3V + H + E of docs/format.md, and what the files hold.
  std::uint64_t expected_key_count() const;

  // One module, validated in full; indices are borrowed from the mapped file. Throws
  // Error(kNotFound) for an unknown name, kCorruptData for a broken part, kUnsupported where packed
  // indices leave the shape open.
  CompressedTensor load_module(std::string_view name) const;

 private:
  void group_modules(const std::vector<std::string>& listed);
  void sort_other_tensors(const Hooks& hooks);
  std::set<std::string> mangled_dense_names() const;
  bool is_empty_weight(const StoredTensor& tensor) const;
  std::optional<std::pair<std::uint64_t, std::uint64_t>> packed_shape(
      const ModuleParts& parts) const;

  std::filesystem::path folder_;
  Json config_;
  TensorStore store_;
  bool compressed_ = false;
  std::string foreign_quantization_;
  std::map<std::string, ModuleParts, std::less<>> modules_;
  std::vector<const StoredTensor*> exact_;
  std::vector<const StoredTensor*> ignored_;
};

// config.json of a folder as an object. Throws Error(kNotFound | kCorruptData), kInvalidArgument
// where `folder` is a file.
Json read_config(const std::filesystem::path& folder);

// The dense shape (out, in) of a weight, worked out from the sizes in config.json; nothing where
// the architecture or the weight is not known. Old packed files state their shapes nowhere else.
std::optional<std::pair<std::uint64_t, std::uint64_t>> dense_shape_from_config(
    const Json& config, std::string_view dense_key);

// The keys that a model of this config must have, for the architectures whose layout is uniform
// (llama, mistral, qwen2); empty for others.
std::vector<std::string> expected_dense_keys(const Json& config);

}  // namespace helix
