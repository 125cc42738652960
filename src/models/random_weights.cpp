#include "models/random_weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>
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

void fill_random(std::span<std::byte> bytes, std::mt19937_64& generator) {
  while (!bytes.empty()) {
    const std::uint64_t word = generator();
    const std::size_t count = std::min(bytes.size(), sizeof(word));
    std::memcpy(bytes.data(), &word, count);
    bytes = bytes.subspan(count);
  }
}

std::vector<float> levels(std::size_t columns, std::mt19937_64& generator) {
  const float deviation = 1.0F / std::sqrt(static_cast<float>(columns));
  std::vector<float> result(kLevels);
  for (float& level : result) level = gaussian(generator) * deviation;
  std::sort(result.begin(), result.end());
  return result;
}

}  // namespace

RandomWeights::RandomWeights(const RandomWeightsOptions& options)
    : options_(options), generator_(options.seed) {}

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
  fill_random(*indices, generator_);
  tensor.rows = rows;
  tensor.columns = columns;
  tensor.codebook = levels(columns, generator_);
  tensor.indices = *indices;
  tensor.index_owner = std::move(indices);
  return tensor;
}

TensorView RandomWeights::dense(const std::string& module, std::size_t rows, std::size_t columns) {
  options_.hooks.check_cancelled();
  LargeVector<std::byte>& bytes = dense_[module];
  if (bytes.empty()) {
    bytes.resize(rows * columns * 2);
    fill_random(bytes, generator_);
    // Random codes, each replaced by the level it stands for.
    std::vector<std::uint16_t> table;
    for (const float level : levels(columns, generator_)) table.push_back(float_to_bf16(level));
    for (std::size_t i = 0; i < bytes.size(); i += 2) {
      std::memcpy(&bytes[i], &table[static_cast<std::size_t>(bytes[i])], 2);
    }
  }
  return {.dtype = DType::kBF16, .shape = {rows, columns}, .data = bytes};
}

Linear RandomWeights::linear(const std::string& module, std::size_t rows, std::size_t columns,
                             Bias bias) {
  std::vector<float> offsets(bias == Bias::kRequired ? rows : 0);
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
