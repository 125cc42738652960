#pragma once

#include <cstddef>
#include <limits>
#include <vector>

namespace helix {

// Least squared error of at most k runs by the textbook recurrence over all cuts, O(k n^2) in long
// double, with run costs from Welford's update: nothing in common with the code under test. Values
// strictly ascending, weights positive.
inline long double reference_least_error(const std::vector<double>& values,
                                         const std::vector<double>& weights, std::size_t k) {
  const std::size_t n = values.size();
  std::vector<long double> cost((n + 1) * (n + 1), 0.0L);
  for (std::size_t begin = 0; begin < n; ++begin) {
    long double mass = 0.0L;
    long double mean = 0.0L;
    long double error = 0.0L;
    for (std::size_t end = begin; end < n; ++end) {
      mass += weights[end];
      const long double delta = values[end] - mean;
      mean += delta * weights[end] / mass;
      error += weights[end] * delta * (values[end] - mean);
      cost[begin * (n + 1) + end + 1] = end == begin ? 0.0L : error;
    }
  }
  std::vector<long double> best(n + 1, std::numeric_limits<long double>::infinity());
  best[0] = 0.0L;
  for (std::size_t runs = 0; runs < k; ++runs) {
    for (std::size_t end = n; end > 0; --end) {
      long double least = best[end];
      for (std::size_t begin = 0; begin < end; ++begin) {
        const long double through = best[begin] + cost[begin * (n + 1) + end];
        if (through < least) least = through;
      }
      best[end] = least;
    }
  }
  return best[n];
}

}  // namespace helix
