#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "helix/compressed_tensor.h"
#include "kernels/matrix_options.h"

namespace helix {

// A compressed weight matrix made ready for products: lookup tables of its codebook, its outliers
// sorted by row. The indices stay where they lie, at any alignment; the object adds a few
// kilobytes, 8 bytes per row and 12 per outlier. Immutable: any number of threads may multiply by
// it.
//
// Precision::kF32 looks F32 values up and sums in F32.
//
// Precision::kBf16 (the default) is 16-bit fixed point where the codebook has at most 256 entries:
// codebook values are integers of 16 bits with one scale per matrix, x integers of up to 16 bits
// with one scale for 64 to 1,024 columns, products and sums of those exact in 32 bits, their sums
// in F32. On Gaussian data its relative error is 2e-4 to 5e-4, a tenth of what BF16 operands give,
// at the speed of the BF16 dot unit. A codebook whose 16-bit form would be off by more than 6e-4 of
// its root mean square takes the F32 path, as do larger codebooks; AVX2 and AVX-512 without VBMI
// follow codebooks by lines and shared shapes for batches up to 16 and 8 where those are off by no
// more than 1.5e-3. One row on AVX-512 with VBMI and batches over 8 on AMX split both numbers into
// high and low bytes and leave the product of the low ones out: 1e-4 to 4e-4. Outliers are added in
// F32 for batches up to 8 (AVX2: 16) and on AMX, with 16 bits beyond.
//
// The same operands give the same result for every number of threads.
class CodebookMatrix {
 public:
  // `tensor` satisfies validate(); the lender of borrowed indices outlives the matrix. `bias` has
  // one number per row, or none. Throws Error(kInvalidArgument) where sizes do not fit.
  explicit CodebookMatrix(CompressedTensor tensor, std::vector<float> bias = {},
                          const MatrixOptions& options = {});
  ~CodebookMatrix();
  CodebookMatrix(CodebookMatrix&&) noexcept;
  CodebookMatrix& operator=(CodebookMatrix&&) noexcept;

  std::size_t rows() const noexcept;
  std::size_t columns() const noexcept;
  const CompressedTensor& tensor() const noexcept;
  // Whether products are 16-bit fixed point.
  bool fixed_point() const noexcept;

  // y (batch, rows) = x (batch, columns) * weight^T + bias. A row of x with a number that is not
  // finite gives a row of y that is not finite. Throws Error(kInvalidArgument) where sizes do not
  // fit, before anything is written.
  void multiply(std::span<const float> x, std::size_t batch, std::span<float> y,
                ThreadPool& pool) const;

  struct State;  // codebook_state.h
  // For what else is computed from the tables (codebook_matmul_transposed.h).
  const State& state() const noexcept { return *state_; }

 private:
  std::unique_ptr<const State> state_;
};

// One of several products of the same x.
struct CodebookProduct {
  const CodebookMatrix* matrix;
  std::span<float> y;
};
// Every y as multiply() gives it. Small batches are one piece of work for the threads, so that
// these meet once instead of after each matrix. Throws Error(kInvalidArgument) where sizes do not
// fit, before anything is written.
void multiply_together(std::span<const CodebookProduct> products, std::span<const float> x,
                       std::size_t batch, ThreadPool& pool);

// y (batch, rows) = silu(gate * x) * (up * x), each as multiply() gives it and the product as
// silu_multiply() does, in one go; false, and nothing done, where that is no faster than one after
// the other. Throws Error(kInvalidArgument) where sizes do not fit.
bool multiply_gated(const CodebookMatrix& gate, const CodebookMatrix& up, std::span<const float> x,
                    std::size_t batch, std::span<float> y, ThreadPool& pool);

// What the constructor checks. Throws Error(kInvalidArgument).
void check_matrix(const CompressedTensor& tensor, std::span<const float> bias);

}  // namespace helix
