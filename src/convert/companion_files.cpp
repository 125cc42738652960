#include "convert/companion_files.h"

#include <algorithm>
#include <array>
#include <string_view>

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

Verdict verdict_of(const fs::path& source, const fs::path& relative, bool copy_code) {
  const std::string name = relative.filename().string();
  if (relative == "config.json" || relative == kReceiptFileName) return Verdict::kSilentlySkip;
  if (belongs_to_submodule(source, relative)) return Verdict::kCopy;
  const bool weights = std::any_of(kWeightSuffixes.begin(), kWeightSuffixes.end(),
                                   [&](std::string_view suffix) { return name.ends_with(suffix); });
  const bool model_weights =
      name.starts_with("model") && name.find(".safetensors") != std::string::npos;
  if (weights) return model_weights ? Verdict::kSilentlySkip : Verdict::kSkip;
  if (name.ends_with(".py") && !copy_code) return Verdict::kSkip;
  return Verdict::kCopy;
}

}  // namespace

std::vector<std::string> copy_companion_files(const fs::path& source, const fs::path& destination,
                                              bool copy_code, const Hooks& hooks) {
  std::vector<std::string> copied;
  std::string left_out;
  for (auto entry = fs::recursive_directory_iterator(source);
       entry != fs::recursive_directory_iterator(); ++entry) {
    const fs::path relative = entry->path().lexically_relative(source);
    const bool hidden = relative.filename().string().starts_with(".");
    if (entry->is_directory()) {
      if (hidden || entry->is_symlink()) entry.disable_recursion_pending();
      continue;
    }
    if (hidden || !entry->is_regular_file()) continue;
    const Verdict verdict = verdict_of(source, relative, copy_code);
    if (verdict == Verdict::kSkip) left_out += (left_out.empty() ? "" : ", ") + relative.string();
    if (verdict != Verdict::kCopy) continue;
    hooks.check_cancelled();
    fs::create_directories((destination / relative).parent_path());
    copy_file_atomically(entry->path(), destination / relative);
    if (relative.has_parent_path()) sync_folder((destination / relative).parent_path());
    copied.push_back(relative.string());
  }
  if (!left_out.empty()) hooks.warn(concat("not copied: ", left_out));
  std::sort(copied.begin(), copied.end());
  return copied;
}

}  // namespace helix
