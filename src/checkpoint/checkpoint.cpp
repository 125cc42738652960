#include "checkpoint/checkpoint.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/file.h"
#include "base/message.h"

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
  return module.ends_with(".A_log") || module.ends_with(".D") || module.ends_with(".dt_bias");
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
  const fs::path path = folder / "config.json";
  Json config = parse_python_json(read_file(path, kMaxConfigBytes), path.string());
  if (!config.is_object())
    throw_error(ErrorCode::kCorruptData, path.string(), ": expected a JSON object");
  return config;
}

Checkpoint::Checkpoint(const fs::path& folder, const Hooks& hooks)
    : folder_(folder), store_(folder) {
  config_ = read_config(folder);
  read_quantization_config();
  if (compressed_) group_modules();
  sort_other_tensors(hooks);
}

void Checkpoint::read_quantization_config() {
  const auto found = config_.find("quantization_config");
  if (found == config_.end() || found->is_null()) return;
  const std::string where = (folder_ / "config.json").string() + ": quantization_config";
  if (!found->is_object()) throw_error(ErrorCode::kCorruptData, where, " is not an object");
  const auto method = found->find("quant_method");
  if (method == found->end() || !method->is_string()) {
    throw_error(ErrorCode::kCorruptData, where, " has no quant_method");
  }
  const auto& name = method->get_ref<const std::string&>();
  compressed_ = name == "hxq" || name == "cdna_v3" || name == "helix";
  if (!compressed_) foreign_quantization_ = name;
}

void Checkpoint::group_modules() {
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
  check_listed_modules();
  for (auto& [name, parts] : modules_) {
    require_parts(parts, folder_);
    const StoredTensor* bare = store_.find(name);
    parts.dense_key = bare != nullptr || is_bare_parameter(name) ? name : name + ".weight";
    const StoredTensor* exact = store_.find(parts.dense_key);
    if (exact != nullptr && has_content(*exact)) parts.exact = exact;
  }
}

void Checkpoint::check_listed_modules() const {
  const Json& quantization = config_["quantization_config"];
  const auto list = quantization.find("compressed_modules");
  if (list == quantization.end() || list->is_null()) return;
  const std::string where = (folder_ / "config.json").string() + ": compressed_modules";
  if (!list->is_array()) throw_error(ErrorCode::kCorruptData, where, " is not a list");
  for (const Json& name : *list) {
    if (!name.is_string())
      throw_error(ErrorCode::kCorruptData, where, " holds ", name.dump(), ", expected a name");
    if (!modules_.contains(name.get<std::string>())) {
      throw_error(ErrorCode::kCorruptData, folder_.string(), ": module ", name.get<std::string>(),
                  " is listed in compressed_modules, but its codebook is missing");
    }
  }
}

void Checkpoint::sort_other_tensors(const Hooks& hooks) {
  std::set<std::string> mangled_names;  // of names that mangling changes
  for (const StoredTensor& tensor : store_.tensors()) {
    std::string name = mangled(tensor.name);
    if (compressed_ && name != tensor.name) mangled_names.insert(std::move(name));
  }
  const auto is_ignored = [&](const StoredTensor& tensor) {
    const std::string_view name = tensor.name;
    const auto derived =
        std::find_if(kDerivedBuffers.begin(), kDerivedBuffers.end(),
                     [&](std::string_view suffix) { return name.ends_with(suffix); });
    if (derived != kDerivedBuffers.end() && modules_.contains(without_last(name))) return true;
    if (name.ends_with(".weight") && !has_content(tensor) && modules_.contains(without_last(name)))
      return true;
    return mangled_names.contains(tensor.name);
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
