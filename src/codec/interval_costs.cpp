#include "codec/interval_costs.h"

#include <algorithm>

#include "codec/cube_root.h"

namespace helix {
namespace {

// high + low += x, without losing what the addition rounds away (Knuth's TwoSum).
void add_exactly(double& high, double& low, double x) {
  const double sum = high + x;
  const double from_x = sum - high;
  low += (high - (sum - from_x)) + (x - from_x);
  high = sum;
}

// Values within a factor of two of each other are measured from the end nearest to zero: the
// difference is exact, and S2 - S1^2 / S0 does not cancel.
double choose_pivot(std::span<const double> values) {
  if (values.empty()) return 0.0;
  if (values.front() > 0.0 && values.back() <= 2.0 * values.front()) return values.front();
  if (values.back() < 0.0 && values.front() >= 2.0 * values.back()) return values.back();
  return 0.0;
}

}  // namespace

void IntervalCosts::Sums::add(double weight, double value) {
  const double first_moment = weight * value;
  add_exactly(s0, s0_low, weight);
  add_exactly(s1, s1_low, first_moment);
  add_exactly(s2, s2_low, first_moment * value);
}

IntervalCosts::IntervalCosts(std::span<const double> values, std::span<const double> weights)
    : values_(values), pivot_(choose_pivot(values)), sums_(values.size() + 1) {
  const auto zero = static_cast<std::size_t>(
      std::lower_bound(values.begin(), values.end(), pivot_) - values.begin());
  for (std::size_t i = zero; i < values.size(); ++i) {
    sums_[i + 1] = sums_[i];
    sums_[i + 1].add(weights[i], values[i] - pivot_);
  }
  for (std::size_t i = zero; i > 0; --i) {
    sums_[i - 1] = sums_[i];
    Sums& sums = sums_[i - 1];  // minus the sum of [i - 1, zero)
    const double value = values[i - 1] - pivot_;
    add_exactly(sums.s0, sums.s0_low, -weights[i - 1]);
    add_exactly(sums.s1, sums.s1_low, -(weights[i - 1] * value));
    add_exactly(sums.s2, sums.s2_low, -(weights[i - 1] * value * value));
  }
  double sum = 0.0;
  for (std::size_t i = 1; i < values.size(); ++i) {
    const double gap = values[i] - values[i - 1];
    sum += cube_root(0.5 * (weights[i] + weights[i - 1]) * gap * gap);
  }
  high_resolution_constant_ = sum * sum * sum / 36.0;
}

double IntervalCosts::mean(std::size_t begin, std::size_t end) const {
  if (end - begin == 1) return values_[begin];
  const Sums& a = sums_[begin];
  const Sums& b = sums_[end];
  const double s0 = (b.s0 - a.s0) + (b.s0_low - a.s0_low);
  const double s1 = (b.s1 - a.s1) + (b.s1_low - a.s1_low);
  return std::clamp(pivot_ + s1 / s0, values_[begin], values_[end - 1]);
}

}  // namespace helix
