#pragma once

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
                Bias bias) override;
  EmbeddingTable embedding(const std::string& module, std::size_t rows,
                           std::size_t columns) override;
  std::vector<float> vector(const std::string& tensor, std::size_t size) override;

 private:
  // Null unless `module` is compressed, and its codes count.
  const ModuleParts* compressed(const std::string& module) const;
  CompressedTensor load_compressed(const ModuleParts& parts, std::size_t rows,
                                   std::size_t columns) const;
  TensorView load_dense(const std::string& tensor, const Shape& expected) const;
  std::vector<float> load_bias(const std::string& module, std::size_t rows, Bias bias);
  [[noreturn]] void refuse_shape(const std::string& tensor, const Shape& expected,
                                 const Shape& found) const;

  const Checkpoint& checkpoint_;
  MatrixOptions options_;
};

}  // namespace helix
