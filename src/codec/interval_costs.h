#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace helix {

// Squared error of replacing a run of weighted, ascending, distinct values by their weighted mean,
// in constant time from prefix sums of weight, weight * value and weight * value^2.
//
// The sums are anchored at zero and grow outward on both sides, each kept as an unevaluated sum of
// two doubles: the cost of a run of small values then does not feel how large the values further
// out are. Values far from zero but close together are measured from the one nearest to zero.
class IntervalCosts {
 public:
  // As many weights as values, all positive; values strictly ascending and finite.
  IntervalCosts(std::span<const double> values, std::span<const double> weights);

  std::size_t size() const { return values_.size(); }

  // The run [begin, end), begin < end. Satisfies the quadrangle inequality up to rounding:
  // cost(a, c) + cost(b, d) <= cost(a, d) + cost(b, c) for a <= b < c <= d.
  double cost(std::size_t begin, std::size_t end) const {
    if (end - begin == 1) return 0.0;
    const Sums& a = sums_[begin];
    const Sums& b = sums_[end];
    const double s0 = (b.s0 - a.s0) + (b.s0_low - a.s0_low);
    const double s1 = (b.s1 - a.s1) + (b.s1_low - a.s1_low);
    const double s2 = (b.s2 - a.s2) + (b.s2_low - a.s2_low);
    const double result = s2 - s1 * s1 / s0;
    return result > 0.0 ? result : 0.0;
  }

  // Weighted mean of the run [begin, end); within the values of the run.
  double mean(std::size_t begin, std::size_t end) const;

  // 6 / k^3 times this is about what the k-th level saves: the high-resolution estimate of Panter
  // and Dite (1951), (sum of weight^(1/3) * spacing^(2/3))^3 / 36.
  double high_resolution_constant() const { return high_resolution_constant_; }

 private:
  struct Sums {
    double s0 = 0, s0_low = 0, s1 = 0, s1_low = 0, s2 = 0, s2_low = 0;
    void add(double weight, double value);
  };

  std::span<const double> values_;
  double pivot_ = 0.0;
  double high_resolution_constant_ = 0.0;
  std::vector<Sums> sums_;  // one more than values
};

}  // namespace helix
