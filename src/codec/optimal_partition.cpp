#include "codec/optimal_partition.h"

#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "codec/cube_root.h"

namespace helix {
namespace {

constexpr int kMaxInterpolations = 24;

// A path of exactly `run_count` runs out of one with fewer and one with more, both optimal for one
// penalty. Where a run of `more` lies inside a run of `fewer`, swapping their tails cannot raise
// the sum of both costs (quadrangle inequality), so both crossings are optimal as well; the i below
// whose crossing has the right count always exists (Aggarwal, Schieber and Tokuyama, 1994).
Partition splice(const IntervalCosts& costs, const Partition& fewer, const Partition& more,
                 std::uint32_t run_count) {
  const std::uint32_t lead = run_count - fewer.run_count();
  std::uint32_t i = 0;
  while (more.cuts[i + lead + 1] > fewer.cuts[i + 1]) ++i;
  std::vector<std::uint32_t> cuts(more.cuts.begin(), more.cuts.begin() + i + lead + 1);
  cuts.insert(cuts.end(), fewer.cuts.begin() + i + 1, fewer.cuts.end());
  return make_partition(costs, std::move(cuts));
}

// The two sides of the search: optima with fewer and with more runs than wanted, and x =
// penalty^(-1/3), in which the number of runs is nearly linear.
struct Bracket {
  Partition fewer;
  Partition more;
  double fewer_x = 0.0;
  double more_x = std::numeric_limits<double>::infinity();

  double chord_penalty() const {
    return (fewer.cost - more.cost) / (more.run_count() - fewer.run_count());
  }
  bool holds(std::uint32_t run_count) const {
    return run_count > fewer.run_count() && run_count < more.run_count();
  }
  void update(Partition found, double x, std::uint32_t wanted) {
    if (found.run_count() < wanted) {
      fewer = std::move(found);
      fewer_x = x;
    } else {
      more = std::move(found);
      more_x = x;
    }
  }
};

Bracket widest_bracket(const IntervalCosts& costs) {
  const auto size = static_cast<std::uint32_t>(costs.size());
  std::vector<std::uint32_t> all(costs.size() + 1);
  std::iota(all.begin(), all.end(), 0U);
  Bracket bracket;
  bracket.fewer = make_partition(costs, {0, size});
  bracket.more.cuts = std::move(all);
  return bracket;
}

// Where a straight line through what is known puts `run_count`.
double interpolate(const Bracket& bracket, std::uint32_t run_count) {
  const double few = bracket.fewer_x > 0.0 ? bracket.fewer.run_count() : 0.0;
  if (bracket.more_x == std::numeric_limits<double>::infinity()) {
    return bracket.fewer_x * run_count / bracket.fewer.run_count();
  }
  const double share = (run_count - few) / (bracket.more.run_count() - few);
  return bracket.fewer_x + share * (bracket.more_x - bracket.fewer_x);
}

}  // namespace

Partition optimal_partition(const IntervalCosts& costs, std::uint32_t run_count, double& penalty) {
  Bracket bracket = widest_bracket(costs);
  if (run_count <= 1) return std::move(bracket.fewer);
  if (run_count >= costs.size()) return std::move(bracket.more);
  PenalizedPath path(costs);
  double x =
      1.0 / cube_root(penalty > 0.0 ? penalty
                                    : 6.0 * costs.high_resolution_constant() /
                                          (static_cast<double>(run_count) * run_count * run_count));
  for (int step = 0;; ++step) {
    double guess = 1.0 / (x * x * x);
    const bool exact = step >= kMaxInterpolations || !(guess > 0.0 && guess < 1e300);
    if (exact) {
      guess = bracket.chord_penalty();
      x = 1.0 / cube_root(guess);
    }
    Partition found = path.solve(guess);
    penalty = guess;
    if (found.run_count() == run_count) return found;
    const bool progress = bracket.holds(found.run_count());
    // No path beats the chord: both its ends are optimal for its penalty.
    if (!progress && exact) return splice(costs, bracket.fewer, bracket.more, run_count);
    if (progress) bracket.update(std::move(found), x, run_count);
    if (!progress) step = kMaxInterpolations;
    x = interpolate(bracket, run_count);
  }
}

}  // namespace helix
