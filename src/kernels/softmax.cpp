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

}  // namespace helix
