#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "base/large_memory.h"
#include "helix/progress.h"
#include "kernels/matrix_options.h"
#include "models/weight_source.h"

namespace helix {

struct RandomWeightsOptions {
  MatrixOptions matrix;
  bool compressed_embeddings = false;
  bool dense = false;
  std::uint64_t seed = 1;
  Hooks hooks = {};  // cancellation, once per matrix
};

// Made-up weights of any shape, held in memory (huge pages, as mapped files may have them):
// linear layers have the codebook and the codes of Gaussian weights, the rest is BF16. Magnitudes
// are such that activations stay near one. One thread asks, and the order decides the numbers.
class RandomWeights final : public WeightSource {
 public:
  explicit RandomWeights(const RandomWeightsOptions& options);

  Linear linear(const std::string& module, std::size_t rows, std::size_t columns,
                bool has_bias) override;
  EmbeddingTable embedding(const std::string& module, std::size_t rows,
                           std::size_t columns) override;
  std::vector<float> vector(const std::string& tensor, std::size_t size) override;

 private:
  CompressedTensor codes(const std::string& module, std::size_t rows, std::size_t columns);
  TensorView dense(const std::string& module, std::size_t rows, std::size_t columns);
  bool is_compressed(const std::string& module) const;
  void draw_codes(std::span<std::byte> codes);
  std::vector<float> codebook(std::size_t columns) const;

  RandomWeightsOptions options_;
  std::mt19937_64 generator_;
  std::vector<double> levels_;                     // of weights of variance one
  std::vector<std::byte> drawn_codes_;             // a code for 16 random bits
  std::map<std::string, CompressedTensor> codes_;  // a tied table is made once
  std::map<std::string, LargeVector<std::byte>> dense_;
};

}  // namespace helix
