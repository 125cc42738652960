#include "codec/outlier_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <utility>

#include "codec/level_fit.h"

namespace helix {
namespace {

constexpr int kMaxRounds = 4;
constexpr std::size_t kCoarsePointsPerLevel = 12;
constexpr double kOutlierBits = 96.0;
// kAuto: what a weight may pay for codebook, factors and outliers, within limits of the latter.
constexpr double kAutoBits = 0.15;
constexpr double kAutoLargestShare = 0.001;
constexpr double kAutoSmallestShare = 0.0003;
// By squared error alone an outlier would have to earn all its bits. Divergence gains more from
// outliers than squared error does, so half will do (docs/codec.md).
constexpr double kPricedBits = kOutlierBits / 2.0;

// 2^x for 0 <= x < 1 from its series, the same everywhere.
double power_of_two(double x) {
  constexpr double kLn2 = 0.69314718055994530942;
  double term = 1.0;
  double sum = 1.0;
  for (int i = 1; i < 20; ++i) {
    term *= x * kLn2 / i;
    sum += term;
  }
  return sum;
}

// Fits and choices on one histogram; the fits share what they learn about the penalty.
class Search {
 public:
  Search(const ValueHistogram& histogram, std::uint32_t k, double& penalty)
      : histogram_(histogram), k_(k), penalty_(penalty) {
    for (const double count : histogram.counts) total_ += count;
  }

  std::uint64_t element_count() const { return static_cast<std::uint64_t>(total_); }

  Codebook fit_all() { return fit_sorted(histogram_.values, histogram_.counts, k_, penalty_); }

  // The n elements with the largest errors leave.
  OutlierChoice choose(std::vector<float> levels, std::uint64_t n) const {
    std::vector<Ranked> ranked(histogram_.size());
    NearestWalk walk(levels);
    double error = 0.0;
    for (std::size_t i = 0; i < ranked.size(); ++i) {
      const double distance = walk.distance(histogram_.values[i]);
      ranked[i] = {distance * distance, static_cast<std::uint32_t>(i)};
      error += histogram_.counts[i] * ranked[i].key;
    }
    OutlierChoice choice = take(std::move(ranked), n);
    choice.squared_error = error;
    if (n > 0) choice.squared_error = rest_error(choice, levels);
    choice.levels = std::move(levels);
    return choice;
  }

  // The n elements of largest magnitude leave, and the rest is fitted.
  OutlierChoice from_magnitude(std::uint64_t n) {
    std::vector<Ranked> ranked(histogram_.size());
    for (std::size_t i = 0; i < ranked.size(); ++i) {
      ranked[i] = {std::abs(histogram_.values[i]), static_cast<std::uint32_t>(i)};
    }
    return choose(fit_rest(take(std::move(ranked), n)), n);
  }

  // Fit and choice in turn for as long as it helps.
  OutlierChoice improve(OutlierChoice best) {
    for (int round = 0; round < kMaxRounds; ++round) {
      OutlierChoice next = choose(fit_rest(best), best.count);
      const bool settled = next.squared_error > 0.999 * best.squared_error;
      if (next.squared_error < best.squared_error) best = std::move(next);
      if (settled) break;
    }
    return best;
  }

  // Without those that their level would give exactly.
  OutlierChoice drop_exact(OutlierChoice choice) const {
    NearestWalk walk(choice.levels);
    double inexact = 0.0;
    for (std::size_t i = 0; i < histogram_.size(); ++i) {
      if (walk.distance(histogram_.values[i]) != 0.0) inexact += histogram_.counts[i];
    }
    const auto count = static_cast<std::uint64_t>(inexact);
    return count < choice.count ? choose(std::move(choice.levels), count) : choice;
  }

 private:
  struct Ranked {
    double key;
    std::uint32_t point;
    // Orders a heap: the largest key on top, the lower point among equals.
    bool operator<(const Ranked& other) const {
      return key != other.key ? key < other.key : point > other.point;
    }
  };

  OutlierChoice take(std::vector<Ranked> ranked, std::uint64_t n) const {
    OutlierChoice choice;
    choice.count = n;
    std::make_heap(ranked.begin(), ranked.end());
    while (n > 0 && !ranked.empty()) {
      const Ranked top = ranked.front();
      std::pop_heap(ranked.begin(), ranked.end());
      ranked.pop_back();
      const auto available = static_cast<std::uint64_t>(histogram_.counts[top.point]);
      if (available <= n) {
        choice.whole.push_back(top.point);
      } else {
        choice.part = top.point;
        choice.part_count = n;
      }
      n -= std::min(n, available);
    }
    std::sort(choice.whole.begin(), choice.whole.end());
    return choice;
  }

  std::vector<double> rest_counts(const OutlierChoice& choice) const {
    std::vector<double> counts = histogram_.counts;
    for (const std::uint32_t point : choice.whole) counts[point] = 0.0;
    if (choice.part_count > 0) counts[choice.part] -= static_cast<double>(choice.part_count);
    return counts;
  }

  double rest_error(const OutlierChoice& choice, std::span<const float> levels) const {
    return nearest_error(histogram_.values, rest_counts(choice), levels);
  }

  std::vector<float> fit_rest(const OutlierChoice& choice) {
    std::vector<double> counts = rest_counts(choice);
    std::vector<double> values = histogram_.values;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      if (counts[i] == 0.0) continue;
      values[kept] = values[i];
      counts[kept++] = counts[i];
    }
    return fit_sorted(std::span(values).first(kept), std::span(counts).first(kept), k_, penalty_)
        .levels;
  }

  const ValueHistogram& histogram_;
  std::uint32_t k_;
  double& penalty_;
  double total_ = 0.0;
};

OutlierChoice better(OutlierChoice a, OutlierChoice b) {
  return b.squared_error < a.squared_error ? std::move(b) : std::move(a);
}

// Both starts: the largest errors under the plain optimum, and the largest magnitudes.
OutlierChoice search_count(Search& search, const std::vector<float>& plain_levels,
                           std::uint64_t n) {
  return better(search.improve(search.choose(plain_levels, n)),
                search.improve(search.from_magnitude(n)));
}

// The error that counts: what would be left if the bits that the outliers are priced at had been
// spent on finer codes instead, at 6.02 dB per bit.
double priced_error(const OutlierChoice& choice, std::uint64_t element_count) {
  const double bits =
      kPricedBits * static_cast<double>(choice.count) / static_cast<double>(element_count);
  return choice.squared_error * power_of_two(2.0 * bits);
}

OutlierChoice search_auto(Search& search, double other_bits) {
  const std::uint64_t elements = search.element_count();
  const double share =
      std::clamp((kAutoBits - other_bits) / kOutlierBits, kAutoSmallestShare, kAutoLargestShare);
  const OutlierChoice plain = search.choose(search.fit_all().levels, 0);
  OutlierChoice best = plain;
  double least_price = std::numeric_limits<double>::infinity();
  const auto largest = static_cast<std::uint64_t>(share * static_cast<double>(elements));
  for (std::uint64_t n = largest; n > 0 && plain.squared_error > 0.0; n /= 2) {
    OutlierChoice choice = search_count(search, plain.levels, n);
    const double price = priced_error(choice, elements);
    if (price >= least_price) break;  // fewer have only lost what more had gained
    least_price = price;
    best = std::move(choice);
  }
  return least_price < plain.squared_error ? best : plain;
}

OutlierChoice search_policy(Search& search, const OutlierPolicy& policy, double other_bits) {
  if (policy.kind == OutlierPolicy::Kind::kAuto) return search_auto(search, other_bits);
  const std::uint64_t n = largest_outlier_count(policy, search.element_count());
  const std::vector<float> levels = search.fit_all().levels;
  return n == 0 ? search.choose(levels, 0) : search_count(search, levels, n);
}

}  // namespace

std::uint64_t largest_outlier_count(const OutlierPolicy& policy, std::uint64_t weight_count) {
  const auto weights = static_cast<double>(weight_count);
  switch (policy.kind) {
    case OutlierPolicy::Kind::kNone: return 0;
    case OutlierPolicy::Kind::kAuto: return static_cast<std::uint64_t>(kAutoLargestShare * weights);
    case OutlierPolicy::Kind::kCount: return std::min(policy.count, weight_count);
    case OutlierPolicy::Kind::kFraction:
      return std::min(weight_count,
                      static_cast<std::uint64_t>(std::round(policy.fraction * weights)));
  }
  return 0;
}

OutlierChoice search_outliers(const ValueHistogram& histogram, std::uint32_t k,
                              const OutlierPolicy& policy, double other_bits) {
  double penalty = 0.0;
  Search fine(histogram, k, penalty);
  if (policy.kind == OutlierPolicy::Kind::kNone) return fine.choose(fine.fit_all().levels, 0);
  const ValueHistogram coarse = coarsen(histogram, kCoarsePointsPerLevel * k);
  Search sketch(coarse, k, penalty);
  const OutlierChoice start = search_policy(sketch, policy, other_bits);
  if (start.count == 0) return fine.choose(fine.fit_all().levels, 0);
  OutlierChoice choice = fine.improve(fine.choose(start.levels, start.count));
  const bool is_free = policy.kind == OutlierPolicy::Kind::kAuto;
  return is_free ? fine.drop_exact(std::move(choice)) : choice;
}

}  // namespace helix
