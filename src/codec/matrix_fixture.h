#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "helix/codec.h"

namespace helix {

// A matrix that owns its bytes, for tests.
struct OwnedMatrix {
  OwnedMatrix(std::uint64_t row_count, std::uint64_t column_count, std::vector<float> floats,
              DType type = DType::kF32)
      : rows(row_count), columns(column_count), dtype(type) {
    bytes.resize(floats.size() * dtype_bytes(type));
    write_floats(floats, type, bytes);
    weights.resize(floats.size());
    read_floats(view(), 0, weights);
  }
  TensorView view() const { return {dtype, {rows, columns}, bytes}; }

  std::uint64_t rows;
  std::uint64_t columns;
  DType dtype;
  std::vector<std::byte> bytes;
  std::vector<float> weights;  // as stored in `dtype`
};

inline std::vector<float> gaussian(std::size_t count, std::uint64_t seed, double scale = 0.02) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(0.0, scale);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(normal(random));
  return values;
}

inline std::vector<float> student_t5(std::size_t count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::student_t_distribution<double> student(5.0);
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(0.02 * student(random));
  return values;
}

// Gaussian with a log-normal factor per row or per column.
inline std::vector<float> scaled_gaussian(std::uint64_t rows, std::uint64_t columns, double spread,
                                          bool per_row, std::uint64_t seed) {
  std::vector<float> values = gaussian(rows * columns, seed);
  std::mt19937_64 random(seed + 1);
  std::normal_distribution<double> normal(0.0, spread);
  std::vector<double> factors(per_row ? rows : columns);
  for (double& factor : factors) factor = std::exp(normal(random));
  for (std::uint64_t i = 0; i < values.size(); ++i) {
    values[i] *= static_cast<float>(factors[per_row ? i / columns : i % columns]);
  }
  return values;
}

inline EncodeOptions plain_options(std::uint32_t codebook_size = 256) {
  return {.codebook_size = codebook_size,
          .outliers = {.kind = OutlierPolicy::Kind::kNone},
          .column_scales = ColumnScales::kNone};
}

inline EncodeOptions counted_outliers(std::uint64_t count) {
  return {.outliers = {.kind = OutlierPolicy::Kind::kCount, .count = count},
          .column_scales = ColumnScales::kNone};
}

inline std::vector<std::uint16_t> all_indices(const CompressedTensor& tensor) {
  std::vector<std::uint16_t> indices(tensor.index_count());
  read_indices(tensor, 0, indices);
  return indices;
}

inline bool same_bytes(const CompressedTensor& a, const CompressedTensor& b) {
  return a.codebook == b.codebook && a.index_format == b.index_format &&
         std::equal(a.indices.begin(), a.indices.end(), b.indices.begin(), b.indices.end()) &&
         a.sidecar_positions == b.sidecar_positions && a.sidecar_values == b.sidecar_values &&
         a.channel_scales == b.channel_scales;
}

}  // namespace helix
