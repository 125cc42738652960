#include "kernels/rms_norm.h"

#include "base/message.h"
#include "kernels/cpu/kernel_table.h"

namespace helix {

void rms_norm(std::span<const float> x, std::span<const float> weight, float epsilon,
              std::span<float> out) {
  if (weight.empty() || x.size() % weight.size() != 0 || x.size() != out.size()) {
    throw_error(ErrorCode::kInvalidArgument, "norm of ", x.size(), " numbers in rows of ",
                weight.size(), " into ", out.size());
  }
  const KernelTable& kernels = active_kernels();
  for (std::size_t i = 0; i < x.size(); i += weight.size()) {
    kernels.rms_norm(x.data() + i, weight.data(), weight.size(), epsilon, out.data() + i);
  }
}

}  // namespace helix
