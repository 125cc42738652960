#include "checkpoint/checkpoint.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/file.h"
#include "base/message.h"
#include "checkpoint/quantization_config.h"

namespace helix {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxConfigBytes = 64U << 20;

struct PartName {
  std::string_view suffix;
  const StoredTensor* ModuleParts::*member;
};

constexpr std::array kParts = {
    PartName{".codebook", &ModuleParts::codebook},
    PartName{".indices", &ModuleParts::indices},
    PartName{".sidecar_positions", &ModuleParts::sidecar_positions},
    PartName{".sidecar_indices", &ModuleParts::sidecar_positions},
    PartName{".sidecar_values", &ModuleParts::sidecar_values},
    PartName{".svd_U", &ModuleParts::svd_u},
    PartName{".svd_s", &ModuleParts::svd_s},
    PartName{".svd_Vt", &ModuleParts::svd_vt},
    PartName{".channel_scales", &ModuleParts::channel_scales},
};

// Buffers that the earlier software derived from the parts and saved by mistake.
constexpr std::array<std::string_view, 5> kDerivedBuffers = {
    ".codebook_f16", "._sidecar_rows", "._sidecar_cols", "._sidecar_deltas", "._sidecar_vq_vals"};

const PartName* part_of(std::string_view key) {
  const auto found = std::find_if(kParts.begin(), kParts.end(),
                                  [&](const PartName& part) { return key.ends_with(part.suffix); });
  return found == kParts.end() ? nullptr : &*found;
}

std::string_view without_last(std::string_view key) { return key.substr(0, key.rfind('.')); }

bool has_content(const StoredTensor& tensor) { return !tensor.view.data.empty(); }

// State-space parameters that are no module's `.weight`.
bool is_bare_parameter(std::string_view module) {
  const std::string_view name = module.substr(module.rfind('.') + 1);
  return name == "A_log" || name == "D" || name == "dt_bias";
}

void require_parts(const ModuleParts& parts, const fs::path& folder) {
  const auto missing = [&](const char* part) {
    throw_error(ErrorCode::kCorruptData, folder.string(), ": module ", parts.name, ": ", part,
                " is missing");
  };
  if (parts.codebook == nullptr) missing("codebook");
  if (parts.indices == nullptr) missing("indices");
  if (parts.sidecar_positions == nullptr && parts.sidecar_values != nullptr)
    missing("sidecar_positions");
  if (parts.sidecar_positions != nullptr && parts.sidecar_values == nullptr)
    missing("sidecar_values");
  const bool any_svd = parts.svd_u != nullptr || parts.svd_s != nullptr || parts.svd_vt != nullptr;
  if (any_svd && parts.svd_u == nullptr) missing("svd_U");
  if (any_svd && parts.svd_s == nullptr) missing("svd_s");
  if (any_svd && parts.svd_vt == nullptr) missing("svd_Vt");
}

// "a.b_c" -> "a.b.c": how old exporters mangled names.
std::string mangled(std::string name) {
  std::replace(name.begin(), name.end(), '_', '.');
  return name;
}

}  // namespace

Json read_config(const fs::path& folder) {
  std::error_code fault;
  if (fs::is_regular_file(folder, fault)) {
    throw_error(ErrorCode::kInvalidArgument, folder.string(),
                ": is a file, expected the folder of a model with config.json and safetensors");
  }
  if (folder.empty() || !fs::exists(folder, fault)) {
    throw_error(ErrorCode::kNotFound, "\"", folder.string(),
                "\": there is no such folder; expected that of a model with config.json and "
                "safetensors");
  }
  const fs::path path = folder / "config.json";
  return parse_config(read_file(path, kMaxConfigBytes), path.string());
}

Checkpoint::Checkpoint(const fs::path& folder, const Hooks& hooks)
    : folder_(folder), store_(folder) {
  config_ = read_config(folder);
  const auto quantization = read_quantization_config(config_, (folder_ / "config.json").string());
  compressed_ = quantization.compressed;
  foreign_quantization_ = quantization.foreign_method;
  if (compressed_) group_modules(quantization.compressed_modules);
  sort_other_tensors(hooks);
}

void Checkpoint::group_modules(const std::vector<std::string>& listed) {
  for (const StoredTensor& tensor : store_.tensors()) {
    const PartName* part = part_of(tensor.name);
    if (part == nullptr) continue;
    const std::string name = tensor.name.substr(0, tensor.name.size() - part->suffix.size());
    ModuleParts& parts = modules_[name];
    parts.name = name;
    if (parts.*(part->member) != nullptr) {
      throw_error(ErrorCode::kCorruptData, folder_.string(), ": module ", name,
                  " has both sidecar_positions and ", "its synonym sidecar_indices");
    }
    parts.*(part->member) = &tensor;
  }
  for (const std::string& name : listed) {
    if (modules_.contains(name)) continue;
    throw_error(ErrorCode::kCorruptData, folder_.string(), ": module ", name,
                " is listed in compressed_modules, but its codebook is missing");
  }
  for (auto& [name, parts] : modules_) {
    require_parts(parts, folder_);
    const StoredTensor* bare = store_.find(name);
    parts.dense_key = bare != nullptr || is_bare_parameter(name) ? name : name + ".weight";
    const StoredTensor* exact = store_.find(parts.dense_key);
    if (exact != nullptr && has_content(*exact)) parts.exact = exact;
  }
}

// The dense keys of the file that mangling changes, mangled.
std::set<std::string> Checkpoint::mangled_dense_names() const {
  std::set<std::string> names;
  const auto add = [&](const std::string& key) {
    std::string name = mangled(key);
    if (name != key) names.insert(std::move(name));
  };
  for (const StoredTensor& tensor : store_.tensors()) add(tensor.name);
  for (const auto& [name, parts] : modules_) add(parts.dense_key);
  return names;
}

// An empty tensor under the dense key of a compressed module, or `{m}.weight` of a bare one.
bool Checkpoint::is_empty_weight(const StoredTensor& tensor) const {
  if (has_content(tensor)) return false;
  const std::string_view name = tensor.name;
  const auto module = modules_.find(name);
  if (module != modules_.end() && module->second.dense_key == name) return true;
  return name.ends_with(".weight") && modules_.contains(without_last(name));
}

void Checkpoint::sort_other_tensors(const Hooks& hooks) {
  std::set<std::string> mangled_names;
  if (compressed_) mangled_names = mangled_dense_names();
  const auto is_ignored = [&](const StoredTensor& tensor) {
    const std::string_view name = tensor.name;
    const auto derived =
        std::find_if(kDerivedBuffers.begin(), kDerivedBuffers.end(),
                     [&](std::string_view suffix) { return name.ends_with(suffix); });
    if (derived != kDerivedBuffers.end() && modules_.contains(without_last(name))) return true;
    return is_empty_weight(tensor) || mangled_names.contains(tensor.name);
  };
  std::string names;
  for (const StoredTensor& tensor : store_.tensors()) {
    if (compressed_ && part_of(tensor.name) != nullptr) continue;
    if (compressed_ && is_ignored(tensor)) {
      ignored_.push_back(&tensor);
      names += (names.empty() ? "" : ", ") + tensor.name;
    } else {
      exact_.push_back(&tensor);
    }
  }
  if (!ignored_.empty()) hooks.warn(concat(folder_.string(), ": ignored keys: ", names));
  if (const auto& unlisted = store_.unlisted(); !unlisted.empty()) {
    hooks.warn(concat(folder_.string(), ": left out, because ", kIndexFileName,
                      " does not list it: ", unlisted[0],
                      unlisted.size() > 1 ? concat(" and ", unlisted.size() - 1, " more") : ""));
  }
}

std::uint64_t Checkpoint::expected_key_count() const {
  std::uint64_t count = exact_.size() + ignored_.size();
  for (const auto& [name, parts] : modules_) {
    count += 2;
    if (parts.sidecar_positions != nullptr) count += 2;
    if (parts.svd_u != nullptr) count += 3;
    if (parts.channel_scales != nullptr) count += 1;
  }
  return count;
}

}  // namespace helix
