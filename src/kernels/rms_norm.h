#pragma once

#include <span>

namespace helix {

// out[n, i] = weight[i] * x[n, i] / sqrt(mean of x[n]^2 + epsilon) for every row of weight.size()
// numbers, in F32 (Zhang and Sennrich, 2019). Relative error of an element at most 1e-6 plus what
// its own rounding takes. `out` may be `x`. Throws Error(kInvalidArgument) where sizes do not fit.
void rms_norm(std::span<const float> x, std::span<const float> weight, float epsilon,
              std::span<float> out);

}  // namespace helix
