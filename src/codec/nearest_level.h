#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace helix {

// Closed range of floats.
struct FloatRange {
  float low = 0.0F;
  float high = 0.0F;
};

// The nearest level of any finite float: exact, ties to the lower index, one table lookup and one
// comparison for nearly all values. The table has an entry per upper half of the float's bit
// pattern; the entry names the first level possible there and the largest float that still belongs
// to it. Entries that touch a marked range say so, at no cost to the others.
class NearestLevel {
 public:
  // Levels ascending and distinct, marked ranges ascending and disjoint.
  NearestLevel(std::span<const float> levels, std::span<const FloatRange> marked);

  struct Entry {
    float last;             // the largest float of `level`
    std::uint16_t level;    // the first level that values of this entry may have
    std::uint16_t is_rare;  // more than two levels possible, or part of a marked range
  };

  static std::uint32_t entry_of(float value) { return std::bit_cast<std::uint32_t>(value) >> 16; }
  const Entry* entries() const { return entries_.data(); }
  // For any value; the entry gives it directly unless it is rare.
  std::uint16_t find(float value) const {
    std::uint16_t level = entries_[entry_of(value)].level;
    while (value > lasts_[level]) ++level;
    return level;
  }
  // The marked range that holds `value`, or marked.size().
  std::size_t marked_range(float value) const;

 private:
  void fill(std::uint32_t entry, float low, float high, std::uint16_t& level, std::size_t& range);

  std::vector<float> lasts_;  // of each level; infinity for the highest
  std::vector<FloatRange> marked_;
  std::vector<Entry> entries_;
};

}  // namespace helix
