#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "helix/codec.h"
#include "helix/progress.h"
#include "helix/tensor.h"

namespace helix {

// One module or exact tensor of a checkpoint, dense or HXQ.
struct InspectedTensor {
  std::string name;  // a module's name, or a tensor's
  bool compressed = false;
  bool ignored = false;    // a key that readers pass over
  bool overruled = false;  // compressed, but the file holds the exact tensor too, which counts
  DType dtype = DType::kF32;
  Shape shape;  // dense
  std::uint64_t stored_bytes = 0;
  std::uint64_t codebook_size = 0;
  std::uint32_t vector_size = 1;
  std::string indices;  // "u8", "12-bit", "u16"
  std::uint64_t outlier_count = 0;
  std::uint32_t svd_rank = 0;
  bool channel_scales = false;
  double bits_per_weight = 0.0;
};

struct Inspection {
  std::string model_type;
  std::string quant_method;  // empty for a dense checkpoint
  std::vector<InspectedTensor> tensors;
  std::uint64_t key_count = 0;
  std::uint64_t file_bytes = 0;  // weight files, headers included
  std::uint64_t file_count = 0;
};

// Throws Error like any reader of the folder; warnings go to `hooks`.
Inspection inspect(const std::filesystem::path& folder, const Hooks& hooks = {});

// What verify() can find. The values are the program's exit statuses less 20.
enum class Finding : std::uint8_t {
  kHash = 1,      // a file differs from the receipt
  kContent = 2,   // a module breaks the format: an index out of range, a bad position, ...
  kMissing = 3,   // a tensor that the model or the dense checkpoint has is not there
  kKeyCount = 4,  // keys do not add up
  kMetrics =
      5,  // re-measured metrics differ from the receipt, or exact tensors from the dense checkpoint
};
const char* finding_name(Finding finding) noexcept;

struct VerifyProblem {
  Finding finding;
  std::string message;
};

struct VerifiedModule {
  std::string name;
  Metrics metrics;
};

struct VerifyReport {
  std::vector<VerifyProblem> problems;  // in the order of Finding
  bool has_receipt = false;
  std::uint64_t module_count = 0;
  std::uint64_t exact_count = 0;
  std::vector<VerifiedModule> modules;  // with `against`
  Metrics totals;                       // with `against`
};

struct VerifyOptions {
  std::filesystem::path against = {};  // the dense checkpoint, or empty
  std::size_t thread_count = 0;
  Hooks hooks = {};
};

// Checks an HXQ checkpoint as far as it can: hashes against the receipt, every module's content,
// completeness, the key-count identity, and with `against` the metrics. A container that cannot be
// opened at all throws Error; what is wrong inside is returned.
VerifyReport verify(const std::filesystem::path& folder, const VerifyOptions& options);

}  // namespace helix
