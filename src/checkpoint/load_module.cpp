// One compressed module from its stored parts: what the tensors say counts, not what the config
// says.

#include <cstring>

#include "base/checked.h"
#include "base/message.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/quantization_config.h"

namespace helix {
namespace {

template <typename Element>
std::vector<std::int64_t> widen(std::span<const std::byte> bytes) {
  std::vector<std::int64_t> values(bytes.size() / sizeof(Element));
  for (std::size_t i = 0; i < values.size(); ++i) {
    Element value;
    std::memcpy(&value, bytes.data() + i * sizeof(Element), sizeof(Element));
    values[i] = value;
  }
  return values;
}

// Parts of modules from their tensors; every error names the tensor's file.
class PartReader {
 public:
  explicit PartReader(const TensorStore& store) : store_(store) {}

  template <typename... Parts>
  [[noreturn]] void corrupt(const StoredTensor& tensor, const Parts&... parts) const {
    throw_error(ErrorCode::kCorruptData, file_of(tensor), ": ", tensor.name, ": ", parts...);
  }
  std::string file_of(const StoredTensor& tensor) const {
    return store_.files()[tensor.file].path().string();
  }

  void require_rank(const StoredTensor& tensor, std::size_t low, std::size_t high) const {
    const std::size_t rank = tensor.view.shape.size();
    if (rank < low || rank > high) {
      corrupt(tensor, "shape ", shape_text(tensor.view.shape), " has rank ", rank, ", expected ",
              low, low == high ? "" : concat(" or ", high));
    }
  }

  std::vector<float> read_f32(const StoredTensor* tensor, std::size_t low_rank,
                              std::size_t high_rank) const {
    if (tensor == nullptr) return {};
    require_rank(*tensor, low_rank, high_rank);
    if (tensor->view.dtype != DType::kF32) {
      corrupt(*tensor, "type ", dtype_name(tensor->view.dtype), ", expected F32");
    }
    std::vector<float> values(element_count(tensor->view.shape));
    read_floats(tensor->view, 0, values);
    return values;
  }

  std::vector<std::int64_t> read_positions(const StoredTensor* tensor) const {
    if (tensor == nullptr) return {};
    require_rank(*tensor, 1, 1);
    if (tensor->view.dtype == DType::kI64) return widen<std::int64_t>(tensor->view.data);
    if (tensor->view.dtype == DType::kI32) return widen<std::int32_t>(tensor->view.data);
    corrupt(*tensor, "type ", dtype_name(tensor->view.dtype), ", expected I64");
  }

  IndexFormat index_format_of(const StoredTensor& indices) const {
    require_rank(indices, 1, 2);
    const bool flat = indices.view.shape.size() == 1;
    switch (indices.view.dtype) {
      case DType::kU8: return flat ? IndexFormat::kPacked12 : IndexFormat::kU8;
      case DType::kU16:
      case DType::kI16:
        if (!flat) return IndexFormat::kU16;
        break;
      default: break;
    }
    corrupt(indices, dtype_name(indices.view.dtype), " of shape ", shape_text(indices.view.shape),
            ", expected U8 or U16 [out, in], or packed U8 [bytes]");
  }

  // Vectors share the codebook's second extent.
  std::uint32_t read_vector_size(const StoredTensor& codebook) const {
    require_rank(codebook, 1, 2);
    if (codebook.view.shape.size() == 1) return 1;
    const std::uint64_t size = codebook.view.shape[1];
    if (size == 0 || size > 256)
      corrupt(codebook, "vectors of ", size, " weights, expected 1 to 256");
    return static_cast<std::uint32_t>(size);
  }

  // By shape and not only by size: a transposed factor has the right size too.
  void require_svd_shapes(const ModuleParts& parts, std::uint64_t rows,
                          std::uint64_t columns) const {
    if (parts.svd_s == nullptr) return;
    require_rank(*parts.svd_s, 1, 1);
    const std::uint64_t rank = parts.svd_s->view.shape[0];
    const auto require_shape = [this](const StoredTensor& tensor, const Shape& expected) {
      if (tensor.view.shape == expected) return;
      corrupt(tensor, "shape ", shape_text(tensor.view.shape), ", expected ", shape_text(expected));
    };
    require_shape(*parts.svd_u, {rows, rank});
    require_shape(*parts.svd_vt, {rank, columns});
  }

 private:
  const TensorStore& store_;
};

}  // namespace

std::optional<std::pair<std::uint64_t, std::uint64_t>> Checkpoint::packed_shape(
    const ModuleParts& parts) const {
  const auto listed = listed_dense_shape(config_, parts.name, (folder_ / "config.json").string());
  if (listed) return listed;
  if (parts.exact != nullptr && parts.exact->view.shape.size() == 2) {
    return std::pair{parts.exact->view.shape[0], parts.exact->view.shape[1]};
  }
  return dense_shape_from_config(config_, parts.dense_key);
}

CompressedTensor Checkpoint::load_module(std::string_view name) const {
  const auto found = modules_.find(name);
  if (found == modules_.end()) {
    throw_error(ErrorCode::kNotFound, folder_.string(), ": no compressed module ", name);
  }
  const ModuleParts& parts = found->second;
  const PartReader reader(store_);
  CompressedTensor tensor;
  tensor.vector_size = reader.read_vector_size(*parts.codebook);
  tensor.codebook = reader.read_f32(parts.codebook, 1, 2);
  tensor.index_format = reader.index_format_of(*parts.indices);
  tensor.indices = parts.indices->view.data;
  if (tensor.index_format == IndexFormat::kPacked12) {
    const auto shape = packed_shape(parts);
    if (!shape) {
      throw_error(ErrorCode::kUnsupported, reader.file_of(*parts.indices), ": ",
                  parts.indices->name, ": packed indices do not tell the matrix's shape, ",
                  "config.json has no module_shapes, and model_type ",
                  config_.value("model_type", Json()).dump(), " is not known");
    }
    tensor.rows = shape->first;
    tensor.columns = shape->second;
    const auto weights = checked_multiply(tensor.rows, tensor.columns);
    if (!weights || *weights / tensor.vector_size % 2 != 0 || *weights % tensor.vector_size != 0 ||
        *weights / tensor.vector_size / 2 * 3 != tensor.indices.size()) {
      reader.corrupt(*parts.indices, tensor.indices.size(), " packed bytes do not fit a [",
                     tensor.rows, ", ", tensor.columns, "] matrix of vectors of ",
                     tensor.vector_size);
    }
  } else {
    tensor.rows = parts.indices->view.shape[0];
    const auto columns = checked_multiply(parts.indices->view.shape[1], tensor.vector_size);
    if (!columns)
      reader.corrupt(*parts.indices, "shape ", shape_text(parts.indices->view.shape), " overflows");
    tensor.columns = *columns;
  }
  tensor.sidecar_positions = reader.read_positions(parts.sidecar_positions);
  tensor.sidecar_values = reader.read_f32(parts.sidecar_values, 1, 1);
  reader.require_svd_shapes(parts, tensor.rows, tensor.columns);
  tensor.svd_u = reader.read_f32(parts.svd_u, 2, 2);
  tensor.svd_s = reader.read_f32(parts.svd_s, 1, 1);
  tensor.svd_vt = reader.read_f32(parts.svd_vt, 2, 2);
  tensor.svd_rank = static_cast<std::uint32_t>(tensor.svd_s.size());
  tensor.channel_scales = reader.read_f32(parts.channel_scales, 1, 1);
  if (parts.channel_scales != nullptr && tensor.channel_scales.size() != tensor.columns) {
    reader.corrupt(*parts.channel_scales, tensor.channel_scales.size(), " entries, expected ",
                   tensor.columns);
  }
  validate(tensor, concat(folder_.string(), ": ", name));
  return tensor;
}

}  // namespace helix
