#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "helix/compressed_tensor.h"
#include "helix/precision.h"
#include "helix/tensor.h"

namespace helix {

// How a product runs.
struct ProductOptions {
  Precision precision = Precision::kBf16;
  // 0: one per processor. Callers at the same time share the processors (see Matrix).
  std::size_t thread_count = 0;
};

// A compressed weight matrix (rows, columns) made ready for use: products with it and with its
// transpose, rows of it, straight from the codes. The indices stay where they lie; a few kilobytes
// and about 40 bytes per outlier are added for each precision when it is first used.
//
// Arrays that go in and out are row-major F32, F16 or BF16, at any alignment. Sums are F32;
// rounding to F16 or BF16 is to nearest even, once, at the end. Results do not depend on the number
// of threads, nor on other callers.
//
// Immutable: any number of threads may call at once, for one matrix or several. The process has one
// set of worker threads; a caller that finds them at work computes on its own thread alone.
//
// All functions throw Error(kInvalidArgument) for sizes that do not fit or a dtype other than F32,
// F16 and BF16, before anything is written.
class Matrix {
 public:
  // `tensor` satisfies validate() and has at least one row and column; the lender of borrowed
  // indices outlives the matrix. `bias` has one number per row, or none.
  explicit Matrix(CompressedTensor tensor, std::vector<float> bias = {});
  ~Matrix();
  Matrix(Matrix&&) noexcept;
  Matrix& operator=(Matrix&&) noexcept;

  std::uint64_t rows() const noexcept;
  std::uint64_t columns() const noexcept;
  const CompressedTensor& tensor() const noexcept;

  // y (batch, rows) = x (batch, columns) * weight^T + bias, both of x's dtype. Relative error as
  // Precision says.
  void multiply(const TensorView& x, std::span<std::byte> y,
                const ProductOptions& options = {}) const;

  // y (batch, columns) = g (batch, rows) * weight, both of g's dtype: the gradient of multiply()
  // with respect to x. Always computed as Precision::kF32.
  void multiply_transposed(const TensorView& g, std::span<std::byte> y,
                           std::size_t thread_count = 0) const;

  // y (ids, columns) = rows `ids` of the weight, in `dtype`.
  void embed(std::span<const std::int64_t> ids, DType dtype, std::span<std::byte> y,
             std::size_t thread_count = 0) const;

  // y (row_end - row_begin, columns) = these rows of the weight, as decode_rows() gives them, in
  // `dtype`.
  void decode(std::uint64_t row_begin, std::uint64_t row_end, DType dtype, std::span<std::byte> y,
              std::size_t thread_count = 0) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace helix
