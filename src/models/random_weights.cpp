#include "models/random_weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <utility>

namespace helix {
namespace {

constexpr std::size_t kLevels = 256;

// About Gaussian: the sum of twelve uniform numbers.
float gaussian(std::mt19937_64& generator) {
  float sum = -6.0F;
  for (int i = 0; i < 12; ++i) sum += static_cast<float>(generator() >> 40) * 0x1.0p-24F;
  return sum;
}

double normal_below(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }

double normal_quantile(double share) {
  double low = -10.0;
  double high = 10.0;
  for (int i = 0; i < 60; ++i) {
    const double middle = 0.5 * (low + high);
    (normal_below(middle) < share ? low : high) = middle;
  }
  return low;
}

}  // namespace

// The best levels are about as dense as the cube root of the weights' density (Panter and Dite,
// "Quantization distortion in pulse-count modulation with nonuniform spacing of levels", 1951):
// they are the quantiles of a Gaussian sqrt(3) times as wide.
RandomWeights::RandomWeights(const RandomWeightsOptions& options)
    : options_(options), generator_(options.seed), drawn_codes_(1U << 16) {
  for (std::size_t i = 0; i < kLevels; ++i) {
    const double share = (static_cast<double>(i) + 0.5) / kLevels;
    levels_.push_back(std::numbers::sqrt3 * normal_quantile(share));
  }
  std::size_t code = 0;
  for (std::size_t i = 0; i < drawn_codes_.size(); ++i) {
    const double share = (static_cast<double>(i) + 0.5) / static_cast<double>(drawn_codes_.size());
    while (code + 1 < kLevels && normal_below(0.5 * (levels_[code] + levels_[code + 1])) < share) {
      ++code;
    }
    drawn_codes_[i] = static_cast<std::byte>(code);
  }
}

void RandomWeights::draw_codes(std::span<std::byte> codes) {
  for (std::size_t i = 0; i < codes.size(); i += 4) {
    const std::uint64_t random = generator_();
    for (std::size_t j = 0; j < std::min<std::size_t>(4, codes.size() - i); ++j) {
      codes[i + j] = drawn_codes_[(random >> (16 * j)) & 0xffffU];
    }
  }
}

std::vector<float> RandomWeights::codebook(std::size_t columns) const {
  const double deviation = 1.0 / std::sqrt(static_cast<double>(columns));
  std::vector<float> result;
  for (const double level : levels_) result.push_back(static_cast<float>(level * deviation));
  return result;
}

bool RandomWeights::is_compressed(const std::string& module) const {
  const bool table = module.ends_with("embed_tokens") || module == "lm_head";
  return !options_.dense && (!table || options_.compressed_embeddings);
}

CompressedTensor RandomWeights::codes(const std::string& module, std::size_t rows,
                                      std::size_t columns) {
  options_.hooks.check_cancelled();
  CompressedTensor& tensor = codes_[module];
  if (tensor.rows != 0) return tensor;
  auto indices = std::make_shared<LargeVector<std::byte>>(rows * columns);
  draw_codes(*indices);
  tensor.rows = rows;
  tensor.columns = columns;
  tensor.codebook = codebook(columns);
  tensor.indices = *indices;
  tensor.index_owner = std::move(indices);
  return tensor;
}

TensorView RandomWeights::dense(const std::string& module, std::size_t rows, std::size_t columns) {
  options_.hooks.check_cancelled();
  LargeVector<std::byte>& bytes = dense_[module];
  if (bytes.empty()) {
    bytes.resize(rows * columns * 2);
    // Random codes in the second half, each replaced by the level it stands for.
    const auto drawn = std::span(bytes).subspan(rows * columns);
    draw_codes(drawn);
    std::vector<std::uint16_t> table;
    for (const float level : codebook(columns)) table.push_back(float_to_bf16(level));
    for (std::size_t i = 0; i < drawn.size(); ++i) {
      std::memcpy(&bytes[2 * i], &table[static_cast<std::size_t>(drawn[i])], 2);
    }
  }
  return {.dtype = DType::kBF16, .shape = {rows, columns}, .data = bytes};
}

Linear RandomWeights::linear(const std::string& module, std::size_t rows, std::size_t columns,
                             bool has_bias) {
  std::vector<float> offsets(has_bias ? rows : 0);
  for (float& offset : offsets) offset = 0.1F * gaussian(generator_);
  if (is_compressed(module)) {
    return Linear(
        CodebookMatrix(codes(module, rows, columns), std::move(offsets), options_.matrix));
  }
  return Linear(DenseMatrix(dense(module, rows, columns), std::move(offsets), options_.matrix));
}

EmbeddingTable RandomWeights::embedding(const std::string& module, std::size_t rows,
                                        std::size_t columns) {
  if (is_compressed(module)) return EmbeddingTable(codes(module, rows, columns));
  return EmbeddingTable(dense(module, rows, columns));
}

std::vector<float> RandomWeights::vector(const std::string&, std::size_t size) {
  return std::vector<float>(size, 1.0F);
}

}  // namespace helix
