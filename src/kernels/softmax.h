#pragma once

#include <span>

namespace helix {

// out[i] = e^(x[i] - max) / sum, in F32: absolute error at most 1e-6. -infinity gives 0 or a number
// below 1e-37. `out` may be `x`. Throws Error(kInvalidArgument) where sizes differ or x is empty.
void softmax(std::span<const float> x, std::span<float> out);

// log(sum of e^x[i]): exponentials in F32, sums in F64; absolute error at most 2e-6 beyond the
// rounding of x. Throws Error(kInvalidArgument) for an empty x.
double log_sum_exp(std::span<const float> x);

}  // namespace helix
