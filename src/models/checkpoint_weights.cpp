#include "models/checkpoint_weights.h"

#include <cmath>
#include <utility>

#include "base/message.h"

namespace helix {
namespace {

// The tensors of the linear layers and tables; a stored vector is read whatever its float type.
bool is_matrix_type(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16;
}

}  // namespace

CheckpointWeights::CheckpointWeights(const Checkpoint& checkpoint, const MatrixOptions& options)
    : checkpoint_(checkpoint), options_(options) {
  const std::string& method = checkpoint.foreign_quantization();
  if (!method.empty()) {
    throw_error(ErrorCode::kUnsupported, checkpoint.folder().string(), ": quantised with \"",
                method, "\", this version runs dense checkpoints and \"hxq\"");
  }
}

void CheckpointWeights::refuse_shape(const std::string& tensor, const Shape& expected,
                                     const Shape& found) const {
  throw_error(ErrorCode::kCorruptData, checkpoint_.folder().string(), ": tensor ", tensor,
              " has shape ", shape_text(found), ", expected ", shape_text(expected),
              " by config.json");
}

const ModuleParts* CheckpointWeights::compressed(const std::string& module) const {
  const auto found = checkpoint_.modules().find(module);
  if (found == checkpoint_.modules().end() || found->second.exact != nullptr) return nullptr;
  return &found->second;
}

CompressedTensor CheckpointWeights::load_compressed(const ModuleParts& parts, std::size_t rows,
                                                    std::size_t columns) const {
  CompressedTensor tensor = checkpoint_.load_module(parts.name);
  if (tensor.rows != rows || tensor.columns != columns) {
    refuse_shape(parts.dense_key, {rows, columns}, {tensor.rows, tensor.columns});
  }
  return tensor;
}

TensorView CheckpointWeights::load_dense(const std::string& tensor, const Shape& expected) const {
  const StoredTensor* stored = checkpoint_.store().find(tensor);
  if (stored == nullptr) {
    throw_error(ErrorCode::kNotFound, checkpoint_.folder().string(), ": tensor ", tensor,
                " is missing");
  }
  if (stored->view.shape != expected) refuse_shape(tensor, expected, stored->view.shape);
  return stored->view;
}

std::vector<float> CheckpointWeights::vector(const std::string& tensor, std::size_t size) {
  const TensorView view = load_dense(tensor, {size});
  if (!dtype_is_float(view.dtype)) {
    throw_error(ErrorCode::kUnsupported, checkpoint_.folder().string(), ": tensor ", tensor,
                " has type ", dtype_name(view.dtype), ", expected F32, F16 or BF16");
  }
  std::vector<float> values(size);
  read_floats(view, 0, values);
  for (std::size_t i = 0; i < size; ++i) {
    if (std::isfinite(values[i])) continue;
    throw_error(ErrorCode::kCorruptData, checkpoint_.folder().string(), ": tensor ", tensor,
                ": element ", i, " is ", values[i], ", expected a finite number");
  }
  return values;
}

std::vector<float> CheckpointWeights::load_bias(const std::string& module, std::size_t rows,
                                                Bias bias) {
  const std::string name = module + ".bias";
  if (bias == Bias::kIfStored && checkpoint_.store().find(name) == nullptr) return {};
  return vector(name, rows);
}

Linear CheckpointWeights::linear(const std::string& module, std::size_t rows, std::size_t columns,
                                 Bias bias) {
  std::vector<float> offsets = load_bias(module, rows, bias);
  if (const ModuleParts* parts = compressed(module)) {
    return Linear(
        CodebookMatrix(load_compressed(*parts, rows, columns), std::move(offsets), options_));
  }
  const std::string name = module + ".weight";
  const TensorView view = load_dense(name, {rows, columns});
  if (!is_matrix_type(view.dtype)) {
    throw_error(ErrorCode::kUnsupported, checkpoint_.folder().string(), ": tensor ", name,
                " has type ", dtype_name(view.dtype), ", expected F32, F16 or BF16");
  }
  return Linear(DenseMatrix(view, std::move(offsets), options_));
}

EmbeddingTable CheckpointWeights::embedding(const std::string& module, std::size_t rows,
                                            std::size_t columns) {
  if (const ModuleParts* parts = compressed(module)) {
    return EmbeddingTable(load_compressed(*parts, rows, columns));
  }
  return EmbeddingTable(load_dense(module + ".weight", {rows, columns}));
}

}  // namespace helix
