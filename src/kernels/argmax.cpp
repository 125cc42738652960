#include "kernels/argmax.h"

#include <cmath>

#include "base/message.h"

namespace helix {

std::size_t argmax(std::span<const float> x) {
  if (x.empty()) throw_error(ErrorCode::kInvalidArgument, "argmax of no numbers");
  std::size_t best = 0;
  while (best < x.size() && std::isnan(x[best])) ++best;
  if (best == x.size()) {
    throw_error(ErrorCode::kCorruptData, "argmax of ", x.size(), " numbers that are all NaN");
  }
  for (std::size_t i = best + 1; i < x.size(); ++i) {
    if (x[i] > x[best]) best = i;
  }
  return best;
}

}  // namespace helix
