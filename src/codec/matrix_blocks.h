#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "helix/tensor.h"

namespace helix {

// A 2-D matrix read as F32 in blocks of whole rows (or, without column factors, of any length),
// in C order, until the visitor returns false.
class MatrixBlocks {
 public:
  // `scales` is empty or has one factor per column, applied as a single F32 product.
  MatrixBlocks(const TensorView& matrix, std::span<const float> scales)
      : matrix_(matrix), scales_(scales) {}

  std::uint64_t rows() const { return matrix_.shape[0]; }
  std::uint64_t columns() const { return matrix_.shape[1]; }
  std::uint64_t size() const { return rows() * columns(); }
  const TensorView& matrix() const { return matrix_; }
  std::span<const float> scales() const { return scales_; }

  // visit(flat position of the first element, std::span<const float> of at most kBlock elements
  // that lie within one row where there are scales).
  template <typename Visit>
  void for_each(Visit&& visit) const {
    std::vector<float> buffer(static_cast<std::size_t>(std::min<std::uint64_t>(kBlock, size())));
    const std::uint64_t period = scales_.empty() ? size() : columns();
    for (std::uint64_t base = 0; base < size(); base += period) {
      for (std::uint64_t offset = 0; offset < period; offset += kBlock) {
        const auto count = static_cast<std::size_t>(std::min(kBlock, period - offset));
        const std::span<float> block(buffer.data(), count);
        read_floats(matrix_, base + offset, block);
        if (!scales_.empty()) multiply(block, scales_.subspan(offset, count));
        if (!visit(base + offset, std::span<const float>(block))) return;
      }
    }
  }

 private:
  static constexpr std::uint64_t kBlock = 4096;

  static void multiply(std::span<float> block, std::span<const float> factors) {
    for (std::size_t i = 0; i < block.size(); ++i) block[i] *= factors[i];
  }

  const TensorView& matrix_;
  std::span<const float> scales_;
};

}  // namespace helix
