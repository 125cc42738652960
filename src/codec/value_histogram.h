#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "codec/matrix_blocks.h"

namespace helix {

// The values of a matrix as ascending weighted points. A point stands for all elements in
// [lows[i], highs[i]]; ranges are disjoint and hold every element; values[i] is their mean.
struct ValueHistogram {
  std::vector<double> values;
  std::vector<double> counts;
  std::vector<float> lows;
  std::vector<float> highs;

  std::size_t size() const { return values.size(); }
  void push(double value, double count, float low, float high);
};

// Every distinct value where there are at most `exact_limit` of them or where the elements have 16
// bits; else bins of F32 patterns that share their upper bits, each with its exact count and sum:
// 20 bits up to 256 levels, 22 beyond. Negative zero counts as zero. The order of the elements has
// no influence.
ValueHistogram make_histogram(const MatrixBlocks& blocks, std::uint32_t codebook_size,
                              std::size_t exact_limit);

// Neighbouring points joined until about `target` are left, with equal shares of count^(1/3) *
// width^(2/3): as fine everywhere, measured in cells of the best codebook (docs/codec.md).
ValueHistogram coarsen(const ValueHistogram& histogram, std::size_t target);

}  // namespace helix
