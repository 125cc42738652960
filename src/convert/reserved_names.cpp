#include "convert/reserved_names.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/message.h"

namespace helix {
namespace {

constexpr std::array<std::string_view, 14> kReservedParts = {
    "codebook",        "indices",         "sidecar_positions",
    "sidecar_indices", "sidecar_values",  "svd_U",
    "svd_s",           "svd_Vt",          "channel_scales",
    "codebook_f16",    "_sidecar_rows",   "_sidecar_cols",
    "_sidecar_deltas", "_sidecar_vq_vals"};
constexpr std::array<std::string_view, 3> kBareParameters = {"A_log", "D", "dt_bias"};

bool is_one_of(std::string_view name, std::span<const std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

void refuse_reserved_names(const TensorStore& dense) {
  for (const StoredTensor& tensor : dense.tensors()) {
    const std::size_t dot = tensor.name.rfind('.');
    if (dot != std::string::npos &&
        is_one_of(std::string_view(tensor.name).substr(dot + 1), kReservedParts)) {
      throw_error(ErrorCode::kUnsupported, "tensor ", tensor.name,
                  ": an HXQ file uses this name for a part of a compressed matrix");
    }
    std::string dotted = tensor.name;
    std::replace(dotted.begin(), dotted.end(), '_', '.');
    if (dotted != tensor.name && dense.find(dotted) != nullptr) {
      throw_error(ErrorCode::kUnsupported, "tensors ", tensor.name, " and ", dotted,
                  ": readers of HXQ files take the second for a mangled copy of the first");
    }
  }
}

bool reads_as_bare_parameter(const TensorStore& dense, std::string_view module) {
  return is_one_of(module.substr(module.rfind('.') + 1), kBareParameters) ||
         dense.find(module) != nullptr;
}

}  // namespace helix
