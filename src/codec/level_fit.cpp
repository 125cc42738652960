#include "codec/level_fit.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/message.h"
#include "codec/interval_costs.h"
#include "codec/optimal_partition.h"

namespace helix {
namespace {

// Rounded to F32; a level that meets its lower neighbour is dropped.
std::vector<float> levels_of(const IntervalCosts& costs, const Partition& partition) {
  std::vector<float> levels;
  levels.reserve(partition.run_count());
  for (std::size_t i = 0; i < partition.run_count(); ++i) {
    const auto level = static_cast<float>(costs.mean(partition.cuts[i], partition.cuts[i + 1]));
    if (levels.empty() || level > levels.back()) levels.push_back(level);
  }
  return levels;
}

void require_valid(std::span<const float> values, std::span<const double> weights,
                   std::uint32_t k) {
  if (k < kMinCodebookSize || k > kMaxCodebookSize) {
    throw_error(ErrorCode::kInvalidArgument, "codebook size ", k, ", expected ", kMinCodebookSize,
                " to ", kMaxCodebookSize);
  }
  if (!weights.empty() && weights.size() != values.size()) {
    throw_error(ErrorCode::kInvalidArgument, weights.size(), " weights for ", values.size(),
                " values, expected as many");
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      throw_error(ErrorCode::kInvalidArgument, "value ", i, " is ", values[i],
                  ", expected a finite number");
    }
    if (!weights.empty() && !(weights[i] >= 0.0 && std::isfinite(weights[i]))) {
      throw_error(ErrorCode::kInvalidArgument, "weight ", i, " is ", weights[i],
                  ", expected a finite number of at least 0");
    }
  }
}

}  // namespace

double nearest_error(std::span<const double> values, std::span<const double> weights,
                     std::span<const float> levels) {
  NearestWalk walk(levels);
  double sum = 0.0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double distance = walk.distance(values[i]);
    sum += weights[i] * distance * distance;
  }
  return sum;
}

Codebook fit_sorted(std::span<const double> values, std::span<const double> weights,
                    std::uint32_t k, double& penalty) {
  Codebook codebook;
  if (values.empty()) {
    codebook.levels = {0.0F};
    return codebook;
  }
  const IntervalCosts costs(values, weights);
  const auto run_count = static_cast<std::uint32_t>(std::min<std::size_t>(k, values.size()));
  codebook.levels = levels_of(costs, optimal_partition(costs, run_count, penalty));
  codebook.squared_error = nearest_error(values, weights, codebook.levels);
  return codebook;
}

Codebook fit_codebook(std::span<const float> values, std::span<const double> weights,
                      std::uint32_t k) {
  require_valid(values, weights, k);
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return values[a] != values[b] ? values[a] < values[b] : a < b;
  });
  std::vector<double> distinct;
  std::vector<double> masses;
  for (const std::size_t i : order) {
    const double weight = weights.empty() ? 1.0 : weights[i];
    if (weight == 0.0) continue;
    if (distinct.empty() || values[i] != distinct.back()) {
      distinct.push_back(values[i] == 0.0F ? 0.0 : values[i]);  // no negative zero
      masses.push_back(0.0);
    }
    masses.back() += weight;
  }
  double penalty = 0.0;
  return fit_sorted(distinct, masses, k, penalty);
}

}  // namespace helix
