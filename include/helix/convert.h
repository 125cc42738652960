#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "helix/codec.h"
#include "helix/progress.h"
#include "helix/tensor.h"

namespace helix {

// A whole Hugging Face checkpoint to an HXQ checkpoint (docs/format.md) and back.

enum class Action : std::uint8_t {
  kCompress,
  kExact,  // copied bit for bit
  kSkip,   // not written: tied to another tensor
};
const char* action_name(Action action) noexcept;

// What happens to one tensor of the source, and why.
struct PlanEntry {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  std::uint64_t bytes = 0;
  Action action = Action::kExact;
  std::string reason;
  EncodeOptions encode;  // kCompress
};

struct CompressOptions {
  EncodeOptions encode = {};
  // Globs (fnmatch) over tensor or module names. An exclusion wins over an inclusion, both over the
  // rules; of several codebook sizes the last that matches counts. A glob that matches no matrix is
  // an error.
  std::vector<std::pair<std::string, std::uint32_t>> codebook_sizes = {};
  std::vector<std::string> include = {};
  std::vector<std::string> exclude = {};
  bool embeddings = false;  // compress embedding tables too
  bool lm_head = false;     // compress an untied output head too
  bool copy_code = false;   // copy *.py
  bool strict = false;      // refuse non-finite weights instead of keeping their tensor exact
  bool resume = false;      // continue an interrupted run
  bool force = false;       // replace a model folder or a link that is there
  std::uint64_t shard_bytes = 5'000'000'000;
  std::size_t thread_count = 0;           // 0: one per processor
  std::vector<std::string> command = {};  // for the receipt
  Hooks hooks = {};
};

// The plan of compress(), without reading the weights. In the order of the source files. Throws
// like compress().
std::vector<PlanEntry> plan_compression(const std::filesystem::path& source,
                                        const CompressOptions& options);

// Writes the HXQ checkpoint `destination` and returns the text of its receipt
// (docs/receipt.schema.json).
//
// `destination` appears complete or not at all: everything is made in the sibling folder
// `<destination>.hxq-partial`, flushed, and renamed. An interrupted or failed run leaves that
// folder, from which `resume` continues; what it holds is checked by hash before it is trusted, and
// the weights and config.json come out as from an unbroken run. Memory beyond the mapped files is
// bounded by the largest matrix, or 256 MiB where that is more, plus 64 MB a thread.
//
// Throws Error: kInvalidArgument (options; folders that overlap; an output or an unfinished run is
// in the way), kNotFound, kCorruptData, kUnsupported (already quantised, FP8 weights, non-finite
// weights under `strict`), kIoError (a full disk included), kCancelled.
std::string compress(const std::filesystem::path& source, const std::filesystem::path& destination,
                     const CompressOptions& options);

struct DecompressOptions {
  // Of the decoded matrices: F32, F16 or BF16; exact tensors keep their type. Default: the dtype of
  // config.json, F32 where it names none.
  std::string dtype = {};
  bool copy_code = false;
  bool force = false;
  std::uint64_t shard_bytes = 5'000'000'000;
  std::size_t thread_count = 0;
  Hooks hooks = {};
};

struct DecompressSummary {
  std::uint64_t module_count = 0;
  std::uint64_t exact_count = 0;
  std::uint64_t bytes = 0;  // of the weight files
  DType dtype = DType::kF32;
};

// Writes the dense checkpoint of an HXQ one, any variant, with the same care as compress(). Throws
// as well Error(kUnsupported) where a weight is beyond the range of the asked type.
DecompressSummary decompress(const std::filesystem::path& source,
                             const std::filesystem::path& destination,
                             const DecompressOptions& options);

}  // namespace helix
