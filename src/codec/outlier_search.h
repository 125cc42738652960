#pragma once

#include <cstdint>
#include <vector>

#include "codec/value_histogram.h"
#include "helix/codec.h"

namespace helix {

// A codebook and the elements that leave it. Of the points listed in `whole` every element leaves;
// of the point `part` (if part_count > 0) the first part_count elements in C order.
struct OutlierChoice {
  std::vector<float> levels;
  double squared_error = 0.0;  // of the elements that stay, each taken at its point's value
  std::uint64_t count = 0;
  std::vector<std::uint32_t> whole;  // ascending
  std::uint32_t part = 0;
  std::uint64_t part_count = 0;
};

// The codebook of k levels and the `policy`'s number of outliers with the least squared error found
// by fitting and choosing in turn (docs/codec.md). `other_bits` is what a weight pays for codebook
// and column factors; kAuto takes fewer where that is much.
OutlierChoice search_outliers(const ValueHistogram& histogram, std::uint32_t k,
                              const OutlierPolicy& policy, double other_bits);

}  // namespace helix
