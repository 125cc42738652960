#include "helix/inspect.h"

#include "checkpoint/checkpoint.h"
#include "helix/compressed_tensor.h"

namespace helix {
namespace {

const char* format_text(IndexFormat format) {
  switch (format) {
    case IndexFormat::kU8: return "u8";
    case IndexFormat::kPacked12: return "12-bit";
    case IndexFormat::kU16: return "u16";
  }
  return "";
}

InspectedTensor inspect_module(const Checkpoint& checkpoint, const ModuleParts& parts) {
  const CompressedTensor module = checkpoint.load_module(parts.name);
  InspectedTensor row;
  row.name = parts.name;
  row.compressed = true;
  row.overruled = parts.exact != nullptr;
  row.shape = {module.rows, module.columns};
  for (const StoredTensor* part :
       {parts.codebook, parts.indices, parts.sidecar_positions, parts.sidecar_values, parts.svd_u,
        parts.svd_s, parts.svd_vt, parts.channel_scales}) {
    if (part != nullptr) row.stored_bytes += part->view.data.size();
  }
  row.codebook_size = module.codebook_size();
  row.vector_size = module.vector_size;
  row.indices = format_text(module.index_format);
  row.outlier_count = module.sidecar_positions.size();
  row.svd_rank = module.svd_rank;
  row.channel_scales = !module.channel_scales.empty();
  const std::uint64_t weights = module.rows * module.columns;
  row.bits_per_weight =
      weights == 0 ? 0.0
                   : 8.0 * static_cast<double>(row.stored_bytes) / static_cast<double>(weights);
  return row;
}

InspectedTensor inspect_exact(const StoredTensor& tensor, bool ignored) {
  InspectedTensor row;
  row.name = tensor.name;
  row.ignored = ignored;
  row.dtype = tensor.view.dtype;
  row.shape = tensor.view.shape;
  row.stored_bytes = tensor.view.data.size();
  row.bits_per_weight = 8.0 * static_cast<double>(dtype_bytes(tensor.view.dtype));
  return row;
}

}  // namespace

Inspection inspect(const std::filesystem::path& folder, const Hooks& hooks) {
  const Checkpoint checkpoint(folder, hooks);
  Inspection inspection;
  const Json& config = checkpoint.config();
  if (const auto type = config.find("model_type"); type != config.end() && type->is_string()) {
    inspection.model_type = type->get<std::string>();
  }
  if (checkpoint.is_compressed()) {
    inspection.quant_method = config["quantization_config"]["quant_method"].get<std::string>();
  } else {
    inspection.quant_method = checkpoint.foreign_quantization();
  }
  for (const auto& [name, parts] : checkpoint.modules()) {
    hooks.check_cancelled();
    inspection.tensors.push_back(inspect_module(checkpoint, parts));
  }
  for (const StoredTensor* tensor : checkpoint.exact_tensors()) {
    inspection.tensors.push_back(inspect_exact(*tensor, false));
  }
  for (const StoredTensor* tensor : checkpoint.ignored_tensors()) {
    inspection.tensors.push_back(inspect_exact(*tensor, true));
  }
  inspection.key_count = checkpoint.store().tensors().size();
  for (const SafetensorsFile& file : checkpoint.store().files())
    inspection.file_bytes += file.bytes().size();
  inspection.file_count = checkpoint.store().files().size();
  return inspection;
}

}  // namespace helix
