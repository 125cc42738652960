#include "kernels/swiglu.h"

#include "base/message.h"
#include "kernels/cpu/kernel_table.h"

namespace helix {

void silu_multiply(std::span<const float> gate, std::span<const float> up, std::span<float> out) {
  if (gate.size() != up.size() || gate.size() != out.size()) {
    throw_error(ErrorCode::kInvalidArgument, "a gate of ", gate.size(), " numbers for ", up.size(),
                " into ", out.size());
  }
  active_kernels().silu_multiply(gate.data(), up.data(), gate.size(), out.data());
}

void add(std::span<const float> x, std::span<float> sum) {
  if (x.size() != sum.size()) {
    throw_error(ErrorCode::kInvalidArgument, "adding ", x.size(), " numbers to ", sum.size());
  }
  active_kernels().add(x.data(), x.size(), sum.data());
}

}  // namespace helix
