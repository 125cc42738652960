#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "helix/compressed_tensor.h"
#include "helix/tensor.h"

namespace helix::reference {

// y (batch, rows) = x (batch, columns) * weight^T + bias in plain F64 loops over the decoded
// matrix.
std::vector<double> dense_matmul(const TensorView& weight, std::span<const float> bias,
                                 std::span<const float> x, std::size_t batch);
std::vector<double> codebook_matmul(const CompressedTensor& weight, std::span<const float> bias,
                                    std::span<const float> x, std::size_t batch);

}  // namespace helix::reference
