#pragma once

#include <vector>

#include "helix/tensor.h"

namespace helix {

// Sum of squares of every column of a 2-D matrix, in F64 and row order. A sum is non-finite exactly
// where the column holds a non-finite element.
std::vector<double> column_squared_norms(const TensorView& matrix);

// One factor per input column, (norm / mean norm)^-1/2, or nothing where scales would cost too much
// for so few rows, where the norms hardly differ, or where a product could leave F32's normal range
// (docs/codec.md). All norms finite.
std::vector<float> choose_column_scales(const TensorView& matrix,
                                        const std::vector<double>& squared_norms);

}  // namespace helix
