#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "helix/codec.h"

namespace helix {

// fit_codebook for values that are already strictly ascending, with positive weights. `penalty` as
// in optimal_partition.
Codebook fit_sorted(std::span<const double> values, std::span<const double> weights,
                    std::uint32_t k, double& penalty);

// The weighted squared error of ascending values against their nearest level.
double nearest_error(std::span<const double> values, std::span<const double> weights,
                     std::span<const float> levels);

// Walks ascending values and yields the nearest level's index for each; ties to the lower.
class NearestWalk {
 public:
  explicit NearestWalk(std::span<const float> levels) : levels_(levels) {}
  // value - level, for values that ascend from call to call.
  double distance(double value) {
    while (index_ + 1 < levels_.size() && levels_[index_ + 1] - value < value - levels_[index_]) {
      ++index_;
    }
    return value - levels_[index_];
  }

 private:
  std::span<const float> levels_;
  std::size_t index_ = 0;
};

}  // namespace helix
