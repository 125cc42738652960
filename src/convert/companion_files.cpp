#include "convert/companion_files.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/file.h"
#include "base/message.h"
#include "convert/receipt.h"
#include "safetensors/tensor_store.h"

namespace helix {
namespace {

namespace fs = std::filesystem;

// Files that hold weights in another form: copying them would defeat the purpose.
constexpr std::array<std::string_view, 16> kWeightSuffixes = {
    ".safetensors", ".safetensors.index.json",
    ".bin",         ".bin.index.json",
    ".pt",          ".pth",
    ".ckpt",        ".h5",
    ".gguf",        ".msgpack",
    ".onnx",        ".onnx_data",
    ".ot",          ".tflite",
    ".mlmodel",     ".pkl"};

enum class Verdict : std::uint8_t { kCopy, kSilentlySkip, kSkip };

// A module of its own, as sentence-transformers keeps them (2_Dense/config.json beside its
// weights): these weights are nowhere else.
bool belongs_to_submodule(const fs::path& source, const fs::path& relative) {
  const std::string name = relative.filename().string();
  return relative.has_parent_path() && (name == kSingleFileName || name == "pytorch_model.bin") &&
         fs::exists(source / relative.parent_path() / "config.json");
}

// Walks a folder and those below it.
class Listing {
 public:
  Listing(const fs::path& source, std::span<const SafetensorsFile> weights, bool copy_code)
      : source_(source), weights_(weights), copy_code_(copy_code) {
    add_folder(source);
    std::sort(names.begin(), names.end());
    std::sort(left_out.begin(), left_out.end());
  }

  std::vector<std::string> names;
  std::vector<std::string> left_out;

 private:
  void add_folder(const fs::path& folder) {
    std::error_code fault;
    for (fs::directory_iterator entry(folder, fault), end; !fault && entry != end;
         entry.increment(fault)) {
      if (!entry->path().filename().string().starts_with(".")) add(*entry);
    }
    if (fault) throw_error(ErrorCode::kIoError, folder.string(), ": ", fault.message());
  }

  void add(const fs::directory_entry& entry) {
    const fs::path relative = entry.path().lexically_relative(source_);
    std::error_code fault;  // a link to nothing, or to itself, is no regular file either
    if (entry.is_directory(fault) && !entry.is_symlink()) return add_folder(entry.path());
    Verdict verdict = Verdict::kSkip;
    if (entry.is_regular_file(fault)) verdict = verdict_of(relative);
    if (verdict == Verdict::kSkip) left_out.push_back(relative.string());
    if (verdict != Verdict::kCopy) return;
    if (::access(entry.path().c_str(), R_OK) != 0) {
      throw_error(ErrorCode::kIoError, entry.path().string(), ": ", std::strerror(errno));
    }
    names.push_back(relative.string());
  }

  Verdict verdict_of(const fs::path& relative) const {
    const std::string name = relative.filename().string();
    if (relative == "config.json" || relative == kReceiptFileName || relative == kIndexFileName ||
        std::ranges::any_of(weights_, [&](const SafetensorsFile& file) {
          return file.path() == source_ / relative;
        })) {
      return Verdict::kSilentlySkip;
    }
    if (belongs_to_submodule(source_, relative)) return Verdict::kCopy;
    const bool weights = std::ranges::any_of(
        kWeightSuffixes, [&](std::string_view suffix) { return name.ends_with(suffix); });
    return weights || (name.ends_with(".py") && !copy_code_) ? Verdict::kSkip : Verdict::kCopy;
  }

  const fs::path& source_;
  std::span<const SafetensorsFile> weights_;
  bool copy_code_;
};

}  // namespace

std::vector<std::string> list_companion_files(const fs::path& source,
                                              std::span<const SafetensorsFile> weights,
                                              bool copy_code, const Hooks& hooks) {
  Listing listing(source, weights, copy_code);
  std::string text;
  for (const std::string& name : listing.left_out) text += (text.empty() ? "" : ", ") + name;
  if (!text.empty()) hooks.warn("not copied: " + text);
  return std::move(listing.names);
}

void copy_companion_files(const fs::path& source, const std::vector<std::string>& names,
                          const fs::path& destination, const Hooks& hooks) {
  for (const std::string& name : names) {
    hooks.check_cancelled();
    const fs::path folder = (destination / name).parent_path();
    fs::create_directories(folder);
    copy_file_atomically(source / name, destination / name);
    if (folder != destination) sync_folder(folder);
  }
}

}  // namespace helix
