#include "safetensors/tensor_store.h"

#include <algorithm>
#include <set>

#include "base/file.h"
#include "base/json.h"
#include "base/message.h"

namespace helix {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxIndexBytes = 100'000'000;

bool leaves_folder(const std::string& name) {
  return name.empty() || name == "." || name == ".." ||
         name.find_first_of("/\\") != std::string::npos || name.find('\0') != std::string::npos;
}

[[noreturn]] void report_missing_weights(const fs::path& folder) {
  if (!fs::is_directory(folder)) {
    throw_error(ErrorCode::kNotFound, folder.string(),
                ": no such folder; expected a Hugging Face model folder");
  }
  for (const char* name : {"pytorch_model.bin", "pytorch_model.bin.index.json"}) {
    if (!fs::exists(folder / name)) continue;
    throw_error(
        ErrorCode::kUnsupported, (folder / name).string(),
        ": pickled PyTorch weights are not read, because loading them can run any code. Convert "
        "them once: "
        "python -c \"from transformers import AutoModelForCausalLM as M; M.from_pretrained('",
        folder.string(), "').save_pretrained('OUT', safe_serialization=True)\"");
  }
  throw_error(ErrorCode::kNotFound, folder.string(), ": holds neither ", kSingleFileName, " nor ",
              kIndexFileName);
}

}  // namespace

std::vector<std::pair<std::string, std::string>> parse_shard_index(std::string_view text,
                                                                   std::string_view file) {
  const Json root = parse_json(text, file);
  const auto map = root.is_object() ? root.find("weight_map") : root.end();
  if (!root.is_object() || map == root.end() || !map->is_object()) {
    throw_error(ErrorCode::kCorruptData, file, ": no \"weight_map\" object");
  }
  std::vector<std::pair<std::string, std::string>> shards;
  for (const auto& [tensor, shard] : map->items()) {
    if (!shard.is_string() || leaves_folder(shard.get<std::string>())) {
      throw_error(ErrorCode::kCorruptData, file, ": tensor ", tensor, ": shard name ", shard.dump(),
                  " is not a file name inside the folder");
    }
    shards.emplace_back(tensor, shard.get<std::string>());
  }
  return shards;
}

TensorStore::TensorStore(const fs::path& folder) {
  with_file_errors([&] { open(folder); });
  for (std::size_t i = 0; i < tensors_.size(); ++i) by_name_[tensors_[i].name] = i;
}

void TensorStore::open(const fs::path& folder) {
  if (fs::exists(folder / kSingleFileName)) {
    add_file(folder / kSingleFileName);
  } else if (fs::exists(folder / kIndexFileName)) {
    open_shards(folder);
  } else {
    report_missing_weights(folder);
  }
}

void TensorStore::add_file(const fs::path& path) {
  files_.emplace_back(path);
  const auto file = static_cast<std::uint32_t>(files_.size() - 1);
  for (const TensorEntry& entry : files_.back().header().tensors) {
    tensors_.push_back({entry.name, files_.back().view(entry), file});
  }
}

void TensorStore::open_shards(const fs::path& folder) {
  const fs::path index = folder / kIndexFileName;
  const auto map = parse_shard_index(read_file(index, kMaxIndexBytes), index.string());
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : map) shards.insert(shard);
  for (const std::string& shard : shards) {
    std::error_code fault;  // a name that no file can have, too long a one say, is absent as well
    if (!fs::exists(folder / shard, fault)) {
      throw_error(ErrorCode::kNotFound, (folder / shard).string(), ": shard named by ",
                  kIndexFileName, " is absent");
    }
    add_file(folder / shard);
  }
  // The index decides: a tensor counts in the shard it names, and only there.
  std::set<std::pair<std::string, std::string>> wanted(map.begin(), map.end());
  std::erase_if(tensors_, [&](const StoredTensor& tensor) {
    const std::string shard = files_[tensor.file].path().filename().string();
    if (wanted.erase({tensor.name, shard}) != 0) return false;
    unlisted_.push_back(concat(tensor.name, " of ", shard));
    return true;
  });
  if (!wanted.empty()) {
    const auto& [tensor, shard] = *wanted.begin();
    throw_error(ErrorCode::kNotFound, (folder / shard).string(), ": tensor ", tensor,
                " is not in the shard that ", kIndexFileName, " names");
  }
}

const StoredTensor* TensorStore::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &tensors_[found->second];
}

}  // namespace helix
