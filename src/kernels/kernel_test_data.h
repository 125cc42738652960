#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <vector>

#include "helix/compressed_tensor.h"

// Made-up operands and error measures for the tests of this floor.
namespace helix::kernel_test {

inline std::vector<float> gaussian(std::size_t count, std::uint32_t seed, float deviation = 1.0F) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0F, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = normal(generator);
  return values;
}

// ||found - expected|| / ||expected||
inline double relative_error(std::span<const float> found, std::span<const double> expected) {
  double error = 0.0;
  double total = 0.0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double difference = static_cast<double>(found[i]) - expected[i];
    error += difference * difference;
    total += expected[i] * expected[i];
  }
  return std::sqrt(error / total);
}

// How a codebook runs: random; as that of many Gaussian weights; the same with wild ends, as that
// of fewer weights.
enum class Curve : std::uint8_t { kJagged, kSmooth, kFlatEnds, kWildEnds };

struct TensorShape {
  std::uint64_t rows = 0;
  std::uint64_t columns = 0;
  IndexFormat format = IndexFormat::kU8;
  std::uint32_t vector_size = 1;
  std::uint64_t codebook_size = 256;
  bool sidecar = false;
  bool channel_scales = false;
  std::uint32_t svd_rank = 0;
  bool sorted = true;
  Curve curve = Curve::kJagged;
};

// A compressed matrix with Gaussian values, as a codec makes them. The indices start one byte past
// an aligned address.
inline CompressedTensor make_tensor(const TensorShape& shape, std::uint32_t seed) {
  CompressedTensor tensor;
  tensor.rows = shape.rows;
  tensor.columns = shape.columns;
  tensor.vector_size = shape.vector_size;
  tensor.index_format = shape.format;
  tensor.codebook = gaussian(shape.codebook_size * shape.vector_size, seed, 0.02F);
  if (shape.sorted && shape.vector_size == 1) {
    std::sort(tensor.codebook.begin(), tensor.codebook.end());
  }
  if (shape.curve != Curve::kJagged) {
    const auto last = static_cast<float>(tensor.codebook.size() - 1);
    for (std::size_t i = 0; i < tensor.codebook.size(); ++i) {
      const float at = 2.0F * static_cast<float>(i) / last - 1.0F;
      const float wild = shape.curve == Curve::kWildEnds && std::fabs(at) > 0.88F ? 0.002F : 0.0F;
      const float smooth = shape.curve == Curve::kFlatEnds ? std::sin(at) : std::sinh(2.5F * at);
      tensor.codebook[i] = 0.01F * smooth + (i % 2 == 0 ? wild : 0.0F);
    }
  }
  std::mt19937 generator(seed + 1);
  std::vector<std::uint16_t> indices(tensor.index_count());
  for (auto& index : indices) {
    index = static_cast<std::uint16_t>(generator() % shape.codebook_size);
  }
  const std::uint64_t bytes = index_bytes(shape.format, indices.size());
  auto owner = std::make_shared<std::vector<std::byte>>(bytes + 1);
  write_indices(indices, shape.format, std::span(*owner).subspan(1));
  tensor.indices = std::span<const std::byte>(*owner).subspan(1);
  tensor.index_owner = owner;
  if (shape.sidecar) {
    // Every 97th weight or so, up to eight times what the codebook reaches.
    for (std::uint64_t at = generator() % 97; at < shape.rows * shape.columns;
         at += 1 + generator() % 193) {
      tensor.sidecar_positions.push_back(static_cast<std::int64_t>(at));
      tensor.sidecar_values.push_back(gaussian(1, seed + static_cast<std::uint32_t>(at), 0.1F)[0]);
    }
  }
  if (shape.channel_scales) {
    for (const float value : gaussian(shape.columns, seed + 2, 0.4F)) {
      tensor.channel_scales.push_back(std::exp(value));
    }
  }
  if (shape.svd_rank > 0) {
    tensor.svd_rank = shape.svd_rank;
    tensor.svd_u = gaussian(shape.rows * shape.svd_rank, seed + 3, 0.1F);
    tensor.svd_s = gaussian(shape.svd_rank, seed + 4, 0.1F);
    tensor.svd_vt = gaussian(shape.svd_rank * shape.columns, seed + 5, 0.1F);
  }
  return tensor;
}

}  // namespace helix::kernel_test
