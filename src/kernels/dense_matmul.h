#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "helix/tensor.h"
#include "kernels/matrix_options.h"

namespace helix {

struct KernelTable;

// A dense F32, F16 or BF16 weight matrix (rows, columns), used where it lies at any alignment: its
// lender outlives this object. Immutable: any number of threads may multiply by it.
//
// Precision::kF32, and everything but BF16 weights, multiplies and sums in F32. Precision::kBf16
// with BF16 weights rounds x to BF16 for batches over 8 where the machine has BF16 dot units
// (relative error about 1.2e-3); smaller batches keep x in F32.
class DenseMatrix {
 public:
  // Throws Error(kInvalidArgument) unless `weight` is a matrix and `bias` empty or one number per
  // row, Error(kUnsupported) for another element type.
  explicit DenseMatrix(TensorView weight, std::vector<float> bias = {},
                       const MatrixOptions& options = {});

  std::size_t rows() const noexcept { return weight_.shape[0]; }
  std::size_t columns() const noexcept { return weight_.shape[1]; }
  const TensorView& weight() const noexcept { return weight_; }

  // y (batch, rows) = x (batch, columns) * weight^T + bias. Throws Error(kInvalidArgument) where
  // sizes do not fit, before anything is written.
  void multiply(std::span<const float> x, std::size_t batch, std::span<float> y,
                ThreadPool& pool) const;

 private:
  TensorView weight_;
  std::vector<float> bias_;
  const KernelTable* kernels_;
  bool bf16_dots_;
};

}  // namespace helix
