#pragma once

#include <cstddef>
#include <span>

#include "base/thread_pool.h"
#include "kernels/codebook_matmul.h"

namespace helix {

// y (batch, columns) = g (batch, rows) * weight, without the bias: the gradient with respect to the
// input of y = x * weight^T, straight from the codes. F32 lookups, products and sums whatever the
// matrix's precision (relative error at most 1e-5); the low-rank part of old files in F64. The same
// operands give the same result for every number of threads. Throws Error(kInvalidArgument) where
// sizes do not fit, before anything is written.
void multiply_transposed(const CodebookMatrix& matrix, std::span<const float> g, std::size_t batch,
                         std::span<float> y, ThreadPool& pool);

}  // namespace helix
