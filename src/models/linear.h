#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/codebook_matmul.h"
#include "kernels/dense_matmul.h"

namespace helix {

// y = x * weight^T + bias, whichever way the weight is stored. Immutable; the lender of the weights
// outlives it.
class Linear {
 public:
  explicit Linear(DenseMatrix matrix) : matrix_(std::move(matrix)) {}
  explicit Linear(CodebookMatrix matrix) : matrix_(std::move(matrix)) {}

  std::size_t rows() const;
  // Bytes of weights that one product reads.
  std::uint64_t weight_bytes() const;

  // x (batch, columns) to y (batch, rows).
  void multiply(std::span<const float> x, std::size_t batch, std::span<float> y,
                ThreadPool& pool) const;
  // y = silu(this * x) * (up * x) in one go; false, and nothing done, where that is no faster.
  bool multiply_gated(const Linear& up, std::span<const float> x, std::size_t batch,
                      std::span<float> y, ThreadPool& pool) const;

  // Null where the weight is dense.
  const CodebookMatrix* codes() const { return std::get_if<CodebookMatrix>(&matrix_); }

 private:
  std::variant<DenseMatrix, CodebookMatrix> matrix_;
};

// One of several products of the same x: x (batch, columns) to y (batch, rows).
struct LinearProduct {
  const Linear* linear;
  std::span<float> y;
};
// Every y as Linear::multiply() gives it, in one go where that is faster.
void multiply_together(std::span<const LinearProduct> products, std::span<const float> x,
                       std::size_t batch, ThreadPool& pool);

}  // namespace helix
