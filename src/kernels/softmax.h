#pragma once

#include <span>

namespace helix {

// out[i] = e^(x[i] - max) / sum, in F32: absolute error at most 1e-6. -infinity gives 0 or a number
// below 1e-37. `out` may be `x`. Throws Error(kInvalidArgument) where sizes differ or x is empty.
void softmax(std::span<const float> x, std::span<float> out);

// log(sum of e^x[i]) in F64: absolute error at most 1e-13. Throws Error(kInvalidArgument) for an
// empty x.
double log_sum_exp(std::span<const float> x);

// The Kullback-Leibler divergence of softmax(x) from softmax(reference), in nats and F64: the sum
// of p_reference * log(p_reference / p), never negative. The log sums are log_sum_exp() of both.
// Throws Error(kInvalidArgument) where sizes differ.
double softmax_divergence(std::span<const float> reference, double reference_log_sum,
                          std::span<const float> x, double log_sum);

}  // namespace helix
