#include "models/checkpoint_weights.h"

#include <cmath>
#include <utility>

#include "base/message.h"

namespace helix {
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
                                                    std::size_t columns) {
  mark_used(parts.name);
  CompressedTensor tensor = checkpoint_.load_module(parts.name);
  if (tensor.rows != rows || tensor.columns != columns) {
    refuse_shape(parts.dense_key, {rows, columns}, {tensor.rows, tensor.columns});
  }
  return tensor;
}

TensorView CheckpointWeights::load_dense(const std::string& tensor, const Shape& expected) {
  mark_used(tensor);
  const StoredTensor* stored = checkpoint_.store().find(tensor);
  if (stored == nullptr) {
    throw_error(ErrorCode::kNotFound, checkpoint_.folder().string(), ": tensor ", tensor,
                " is missing");
  }
  const TensorView& view = stored->view;
  if (view.shape != expected) refuse_shape(tensor, expected, view.shape);
  const bool vector_of_doubles = view.dtype == DType::kF64 && expected.size() == 1;
  if (view.dtype != DType::kF32 && view.dtype != DType::kF16 && view.dtype != DType::kBF16 &&
      !vector_of_doubles) {
    throw_error(ErrorCode::kUnsupported, checkpoint_.folder().string(), ": tensor ", tensor,
                " has type ", dtype_name(view.dtype), ", expected F32, F16 or BF16");
  }
  return view;
}

std::vector<float> CheckpointWeights::vector(const std::string& tensor, std::size_t size) {
  const TensorView view = load_dense(tensor, {size});
  std::vector<float> values(size);
  read_floats(view, 0, values);
  for (std::size_t i = 0; i < size; ++i) {
    if (std::isfinite(values[i])) continue;
    throw_error(ErrorCode::kCorruptData, checkpoint_.folder().string(), ": tensor ", tensor,
                ": element ", i, " is ", values[i], ", expected a finite number");
  }
  return values;
}

Linear CheckpointWeights::linear(const std::string& module, std::size_t rows, std::size_t columns,
                                 bool has_bias) {
  std::vector<float> bias;
  if (has_bias) bias = vector(module + ".bias", rows);
  if (const ModuleParts* parts = compressed(module)) {
    return Linear(
        CodebookMatrix(load_compressed(*parts, rows, columns), std::move(bias), options_));
  }
  return Linear(
      DenseMatrix(load_dense(module + ".weight", {rows, columns}), std::move(bias), options_));
}

EmbeddingTable CheckpointWeights::embedding(const std::string& module, std::size_t rows,
                                            std::size_t columns) {
  if (const ModuleParts* parts = compressed(module)) {
    return EmbeddingTable(load_compressed(*parts, rows, columns));
  }
  return EmbeddingTable(load_dense(module + ".weight", {rows, columns}));
}

void CheckpointWeights::mark_used(const std::string& name) {
  const std::lock_guard lock(mutex_);
  used_.insert(name);
}

std::vector<std::string> CheckpointWeights::unused() const {
  std::vector<std::string> names;
  for (const auto& [name, parts] : checkpoint_.modules()) {
    if (!used_.contains(name) && !used_.contains(parts.dense_key)) names.push_back(name);
  }
  for (const StoredTensor* tensor : checkpoint_.exact_tensors()) {
    if (!used_.contains(tensor->name)) names.push_back(tensor->name);
  }
  return names;
}

}  // namespace helix
