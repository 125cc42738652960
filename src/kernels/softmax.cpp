#include "kernels/softmax.h"

#include "base/message.h"
#include "kernels/cpu/kernel_table.h"

namespace helix {

void softmax(std::span<const float> x, std::span<float> out) {
  if (x.empty() || x.size() != out.size()) {
    throw_error(ErrorCode::kInvalidArgument, "softmax of ", x.size(), " numbers into ", out.size());
  }
  active_kernels().softmax(x.data(), x.size(), out.data());
}

double log_sum_exp(std::span<const float> x) {
  if (x.empty()) throw_error(ErrorCode::kInvalidArgument, "logsumexp of no numbers");
  return active_kernels().log_sum_exp(x.data(), x.size());
}

double softmax_divergence(std::span<const float> reference, double reference_log_sum,
                          std::span<const float> x, double log_sum) {
  if (x.size() != reference.size()) {
    throw_error(ErrorCode::kInvalidArgument, "divergence of ", x.size(), " numbers from ",
                reference.size());
  }
  return active_kernels().divergence(reference.data(), reference_log_sum, x.data(), log_sum,
                                     x.size());
}

}  // namespace helix
