#include "codec/nearest_level.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace helix {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The largest float not above the exact middle of a < b.
float last_before_middle(float a, float b) {
  const double sum = static_cast<double>(a) + b;
  const double from_b = sum - a;
  const double lost = (a - (sum - from_b)) + (b - from_b);  // exact middle = (sum + lost) / 2
  const double middle = 0.5 * sum;
  auto last = static_cast<float>(middle);
  if (last > middle || (last == middle && lost < 0.0)) last = std::nextafter(last, -kInfinity);
  return last;
}

}  // namespace

NearestLevel::NearestLevel(std::span<const float> levels, std::span<const FloatRange> marked)
    : lasts_(levels.size(), kInfinity), marked_(marked.begin(), marked.end()), entries_(1U << 16) {
  for (std::size_t i = 0; i + 1 < levels.size(); ++i) {
    lasts_[i] = last_before_middle(levels[i], levels[i + 1]);
  }
  std::uint16_t level = 0;
  std::size_t range = 0;
  // Ascending values: the negative entries backwards, then the positive ones.
  for (std::uint32_t upper = 0x7f80; upper-- > 0;) {
    const std::uint32_t entry = upper | 0x8000U;
    fill(entry, std::bit_cast<float>(entry << 16 | 0xffffU), std::bit_cast<float>(entry << 16),
         level, range);
  }
  for (std::uint32_t entry = 0; entry < 0x7f80; ++entry) {
    fill(entry, std::bit_cast<float>(entry << 16), std::bit_cast<float>(entry << 16 | 0xffffU),
         level, range);
  }
}

void NearestLevel::fill(std::uint32_t entry, float low, float high, std::uint16_t& level,
                        std::size_t& range) {
  while (low > lasts_[level]) ++level;
  while (range < marked_.size() && marked_[range].high < low) ++range;
  const bool is_marked = range < marked_.size() && marked_[range].low <= high;
  const bool is_crowded = high > lasts_[level] && high > lasts_[level + 1U];
  entries_[entry] = {lasts_[level], level, is_marked || is_crowded};
}

std::size_t NearestLevel::marked_range(float value) const {
  const auto at = std::lower_bound(marked_.begin(), marked_.end(), value,
                                   [](const FloatRange& r, float v) { return r.high < v; });
  if (at == marked_.end() || at->low > value) return marked_.size();
  return static_cast<std::size_t>(at - marked_.begin());
}

}  // namespace helix
