#pragma once

#include <mutex>
#include <set>

#include "checkpoint/checkpoint.h"
#include "kernels/matrix_options.h"
#include "models/weight_source.h"

namespace helix {

// The weights of a model folder, dense or HXQ, used where they lie in the mapped files. Several
// threads may ask at once.
class CheckpointWeights final : public WeightSource {
 public:
  // `checkpoint` outlives this object and what it gives. Throws Error(kUnsupported) for another
  // quantisation.
  CheckpointWeights(const Checkpoint& checkpoint, const MatrixOptions& options);

  Linear linear(const std::string& module, std::size_t rows, std::size_t columns,
                bool has_bias) override;
  EmbeddingTable embedding(const std::string& module, std::size_t rows,
                           std::size_t columns) override;
  std::vector<float> vector(const std::string& tensor, std::size_t size) override;

  // The stored tensors, of compressed modules their names, that nobody has asked for, in order.
  std::vector<std::string> unused() const;

 private:
  // Null unless `module` is compressed, and its codes count.
  const ModuleParts* compressed(const std::string& module) const;
  CompressedTensor load_compressed(const ModuleParts& parts, std::size_t rows, std::size_t columns);
  void mark_used(const std::string& name);
  TensorView load_dense(const std::string& tensor, const Shape& expected);
  [[noreturn]] void refuse_shape(const std::string& tensor, const Shape& expected,
                                 const Shape& found) const;

  const Checkpoint& checkpoint_;
  MatrixOptions options_;
  mutable std::mutex mutex_;
  std::set<std::string, std::less<>> used_;
};

}  // namespace helix
