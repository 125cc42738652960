#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "helix/compressed_tensor.h"
#include "helix/tensor.h"

namespace helix {

// The weights of one matrix to codes and back. Everything here is deterministic: the same input
// gives the same bytes on any machine, instruction set and number of threads. All functions may be
// called from several threads.

inline constexpr std::uint32_t kMinCodebookSize = 2;
inline constexpr std::uint32_t kMaxCodebookSize = 4096;

// How many weights are stored exactly beside the codes; each costs 12 bytes (I64 position, F32
// value).
struct OutlierPolicy {
  // kAuto takes as many as are worth their bytes, at most 0.1 % of the weights, and fewer where
  // codebook and column scales of a small matrix leave no room within 0.15 bits per weight, but
  // then up to 0.03 % (docs/codec.md).
  enum class Kind : std::uint8_t { kAuto, kNone, kCount, kFraction };
  Kind kind = Kind::kAuto;
  std::uint64_t count = 0;  // kCount
  double fraction = 0.0;    // kFraction: share of the weights, 0.0005 for 0.05 %
};

// The most outliers that `policy` can give a matrix of `weight_count` weights.
std::uint64_t largest_outlier_count(const OutlierPolicy& policy, std::uint64_t weight_count);

// One factor per input column, which spreads the error towards columns of large norm. kAuto: where
// the matrix is tall enough and its columns differ.
enum class ColumnScales : std::uint8_t { kAuto, kNone };

struct EncodeOptions {
  std::uint32_t codebook_size = 256;  // kMinCodebookSize .. kMaxCodebookSize
  OutlierPolicy outliers = {};
  ColumnScales column_scales = ColumnScales::kAuto;
};

// Sorted, distinct, finite; fewer than asked for where the data has fewer distinct values.
struct Codebook {
  std::vector<float> levels;
  double squared_error =
      0.0;  // of the weighted values against their nearest level, after rounding to F32
};

// The k-level scalar codebook of least weighted squared error (docs/codec.md has the algorithm, the
// proof of optimality and its sources). `values` need not be sorted or distinct; `weights` is empty
// (all one) or has one non-negative entry per value. Throws Error(kInvalidArgument) for k out of
// range or a non-finite value or weight.
Codebook fit_codebook(std::span<const float> values, std::span<const double> weights,
                      std::uint32_t k);

// What the codes do to a matrix, measured on what is stored: decode(encode(W)) against W, in F64.
struct Metrics {
  double squared_error = 0.0;  // sum of (decoded - weight)^2
  double squared_norm = 0.0;   // sum of weight^2
  double dot = 0.0;            // sum of decoded * weight
  double decoded_squared_norm = 0.0;
  double max_error = 0.0;
  std::uint64_t weight_count = 0;
  std::uint64_t outlier_count = 0;
  std::uint64_t stored_bytes = 0;

  double snr_db() const;  // 10 log10(squared_norm / squared_error); +inf where there is no error
  double relative_squared_error() const;  // squared_error / squared_norm
  double cosine() const;
  double bits_per_weight() const;
  // Totals over several matrices.
  Metrics& operator+=(const Metrics& other);
};

// Encodes a 2-D matrix (out, in) of F32, F16, BF16 or F64 (rounded to F32 first). The result owns
// its indices. Throws Error(kInvalidArgument) for another rank or options out of range,
// kUnsupported for another dtype or a non-finite element, which is named by row and column. Memory
// beyond the result is a histogram of the values: some 15 MB up to 256 levels, 40 MB beyond,
// whatever the size of the matrix.
CompressedTensor encode(const TensorView& matrix, const EncodeOptions& options);

// The dense matrix in F32, (rows, columns).
std::vector<float> decode(const CompressedTensor& tensor);

// Compares the decoded tensor with the matrix it was made from; same shape, F32, F16, BF16 or F64.
Metrics measure(const CompressedTensor& tensor, const TensorView& matrix);

// True where every element is finite. Integers are.
bool all_finite(const TensorView& tensor);

}  // namespace helix
