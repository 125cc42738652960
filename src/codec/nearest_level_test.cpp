#include "codec/nearest_level.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>

namespace helix {
namespace {

// Whether `value` is nearer to b than to a < b, decided exactly: the level of larger magnitude is
// subtracted first, which loses nothing wherever the rest is small enough to matter.
bool is_nearer_to_upper(float a, float b, float value) {
  const float large = std::abs(a) > std::abs(b) ? a : b;
  const float small = large == a ? b : a;
  return 2.0L * value - large > small;
}

std::size_t reference(const std::vector<float>& levels, float value) {
  std::size_t best = 0;
  while (best + 1 < levels.size() && is_nearer_to_upper(levels[best], levels[best + 1], value)) {
    ++best;
  }
  return best;
}

void expect_right(const NearestLevel& nearest, const std::vector<float>& levels, float value) {
  const std::size_t expected = reference(levels, value);
  EXPECT_EQ(nearest.find(value), expected) << value;
  const NearestLevel::Entry& entry = nearest.entries()[NearestLevel::entry_of(value)];
  if (entry.is_rare == 0) {
    EXPECT_EQ(entry.level + (value > entry.last ? 1U : 0U), expected) << value;
  }
}

TEST(NearestLevel, AnyFloatAndAnyLevels) {
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal;
  for (const std::size_t size : {1U, 2U, 16U, 256U, 3000U}) {
    std::vector<float> levels(size);
    for (float& level : levels) level = normal(random);
    std::sort(levels.begin(), levels.end());
    levels.erase(std::unique(levels.begin(), levels.end()), levels.end());
    const NearestLevel nearest(levels, {});
    for (int i = 0; i < 2000; ++i) expect_right(nearest, levels, 2.0F * normal(random));
    for (int i = 0; i < 2000; ++i) {
      const float value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
      if (std::isfinite(value)) expect_right(nearest, levels, value);
    }
  }
}

TEST(NearestLevel, AroundEveryThreshold) {
  const std::vector<float> levels = {
      -3e38F, -2.0F, -1.0F, -1e-45F, 0.0F, 1e-45F, 3e-45F, 1.0F, std::nextafter(1.0F, 2.0F),
      3.0F,   3e38F};
  const NearestLevel nearest(levels, {});
  for (std::size_t i = 0; i + 1 < levels.size(); ++i) {
    const auto middle = static_cast<float>((static_cast<double>(levels[i]) + levels[i + 1]) / 2);
    float value = middle;
    for (int step = 0; step < 4; ++step) value = std::nextafter(value, -INFINITY);
    for (int step = 0; step < 9; ++step, value = std::nextafter(value, INFINITY)) {
      expect_right(nearest, levels, value);
    }
  }
  expect_right(nearest, levels, -0.0F);
}

TEST(NearestLevel, TiesGoToTheLowerLevelEvenBelowDoublePrecision) {
  EXPECT_EQ(NearestLevel(std::vector<float>{1.0F, 3.0F}, {}).find(2.0F), 0);
  EXPECT_EQ(NearestLevel(std::vector<float>{-3.0F, -1.0F}, {}).find(-2.0F), 0);
  // The exact middle lies 5e-31 below a half: no double, so the plain sum would call it a tie.
  EXPECT_EQ(NearestLevel(std::vector<float>{-1e-30F, 1.0F}, {}).find(0.5F), 1);
  EXPECT_EQ(NearestLevel(std::vector<float>{1e-30F, 1.0F}, {}).find(0.5F), 0);
}

TEST(NearestLevel, MarkedRanges) {
  const std::vector<float> levels = {0.0F, 1.0F};
  const std::vector<FloatRange> marked = {{-2.0F, -1.5F}, {0.25F, 0.25F}, {7.0F, 9.0F}};
  const NearestLevel nearest(levels, marked);
  for (std::size_t range = 0; range < marked.size(); ++range) {
    for (const float value : {marked[range].low, marked[range].high}) {
      EXPECT_EQ(nearest.marked_range(value), range);
      EXPECT_NE(nearest.entries()[NearestLevel::entry_of(value)].is_rare, 0);
    }
    EXPECT_EQ(nearest.marked_range(std::nextafter(marked[range].high, 100.0F)), marked.size());
    EXPECT_EQ(nearest.marked_range(std::nextafter(marked[range].low, -100.0F)), marked.size());
  }
  EXPECT_NE(nearest.entries()[NearestLevel::entry_of(-1.7F)].is_rare, 0);
  EXPECT_EQ(nearest.entries()[NearestLevel::entry_of(2.0F)].is_rare, 0);
}

}  // namespace
}  // namespace helix
