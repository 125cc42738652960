#include "codec/column_scales.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "codec/matrix_blocks.h"

namespace helix {
namespace {

// 32 bits per column over this many rows are 0.2 bits per weight at most.
constexpr std::uint64_t kFewestRows = 160;
// The scatter of the norms that plain chance gives is 1 / (2 rows); measurable is half as much
// again.
constexpr double kChanceFactor = 1.5;
constexpr double kLargestScale = 0x1p20;
constexpr double kLargestNorm = 0x1p100;
constexpr double kSmallestMeanNorm = 0x1p-80;

// Twelve significant bits: the product with a BF16 or F16 weight is then exact in F32, so dividing
// by the scale gives the weight back.
float rounded_scale(double scale) {
  const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(scale));
  return std::bit_cast<float>((bits + 0x800U) & ~0xfffU);
}

bool norms_differ(const std::vector<double>& norms, double mean, std::uint64_t rows) {
  double scatter = 0.0;
  for (const double norm : norms) scatter += (norm - mean) * (norm - mean);
  scatter /= static_cast<double>(norms.size()) * mean * mean;
  return scatter > kChanceFactor / (2.0 * static_cast<double>(rows));
}

}  // namespace

std::vector<double> column_squared_norms(const TensorView& matrix) {
  const std::uint64_t columns = matrix.shape[1];
  std::vector<double> sums(columns, 0.0);
  std::uint64_t column = 0;
  MatrixBlocks(matrix, {}).for_each([&](std::uint64_t, std::span<const float> block) {
    for (std::size_t done = 0; done < block.size();) {
      const auto count =
          static_cast<std::size_t>(std::min<std::uint64_t>(columns - column, block.size() - done));
      const float* values = block.data() + done;
      double* into = sums.data() + column;
      for (std::size_t i = 0; i < count; ++i) {
        into[i] += static_cast<double>(values[i]) * static_cast<double>(values[i]);
      }
      done += count;
      column = (column + count) % columns;
    }
    return true;
  });
  return sums;
}

std::vector<float> choose_column_scales(const TensorView& matrix,
                                        const std::vector<double>& squared_norms) {
  const std::uint64_t rows = matrix.shape[0];
  if (rows < kFewestRows || squared_norms.empty()) return {};
  std::vector<double> norms(squared_norms.size());
  double mean = 0.0;
  for (std::size_t c = 0; c < norms.size(); ++c) {
    norms[c] = std::sqrt(squared_norms[c]);
    if (norms[c] > kLargestNorm) return {};
    mean += norms[c];
  }
  mean /= static_cast<double>(norms.size());
  if (!(mean > kSmallestMeanNorm) || !norms_differ(norms, mean, rows)) return {};
  std::vector<float> scales(norms.size(), 1.0F);
  for (std::size_t c = 0; c < norms.size(); ++c) {
    if (norms[c] == 0.0) continue;
    const double scale = std::sqrt(mean / norms[c]);
    if (!(scale < kLargestScale && scale > 1.0 / kLargestScale)) return {};
    scales[c] = rounded_scale(scale);
  }
  return scales;
}

}  // namespace helix
