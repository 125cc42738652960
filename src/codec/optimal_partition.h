#pragma once

#include <cstdint>

#include "codec/interval_costs.h"
#include "codec/penalized_path.h"

namespace helix {

// The partition of least cost into exactly `run_count` runs, 1 <= run_count <= costs.size(). The
// least cost is convex in the number of runs, so the penalty per run that yields it is found by
// interpolation; where no penalty does (ties), the two neighbouring optima are spliced.
// `penalty` is a starting guess (0: none) and returns the penalty found, to start a similar problem
// from; it never changes the cost of the result beyond rounding.
Partition optimal_partition(const IntervalCosts& costs, std::uint32_t run_count, double& penalty);

}  // namespace helix
