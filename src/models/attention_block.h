#pragma once

#include <span>
#include <string>
#include <vector>

#include "kernels/attention.h"
#include "kernels/rope.h"
#include "models/decoder_config.h"
#include "models/kv_cache.h"
#include "models/weight_source.h"

namespace helix {

// Where the tokens of one forward() belong.
struct TokenBatch {
  struct Part {
    KvCache* cache;
    std::size_t first_row;
    std::size_t rows;
    std::size_t first_position;
  };
  std::vector<Part> parts;
  std::size_t rows = 0;
  RopeAngles angles;  // (rows, head_dim / 2)
};

// Causal self-attention with grouped key heads, rotary positions and an optional window.
class AttentionBlock {
 public:
  // `name`: "model.layers.0.self_attn".
  AttentionBlock(const DecoderConfig& config, std::size_t layer, const std::string& name,
                 WeightSource& weights);

  // out (rows, hidden) of x (rows, hidden); writes keys and values to the caches.
  void run(std::span<const float> x, const TokenBatch& batch, std::span<float> out,
           ThreadPool& pool) const;

  std::uint64_t weight_bytes() const;

 private:
  void rotate(const TokenBatch& batch, std::size_t heads, std::span<float> x,
              ThreadPool& pool) const;
  void attend(std::span<const float> queries, std::span<const float> keys,
              std::span<const float> values, const TokenBatch& batch, std::span<float> out,
              ThreadPool& pool) const;

  std::size_t layer_;
  AttentionShape shape_;
  Linear query_;
  Linear key_;
  Linear value_;
  Linear output_;
};

// What attention needs to know of `layer`.
AttentionShape attention_shape(const DecoderConfig& config, std::size_t layer);

}  // namespace helix
