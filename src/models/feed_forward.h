#pragma once

#include <span>
#include <string>

#include "models/decoder_config.h"
#include "models/weight_source.h"

namespace helix {

// down(silu(gate(x)) * up(x)) (Shazeer, GLU Variants Improve Transformer, 2020).
class FeedForward {
 public:
  // `name`: "model.layers.0.mlp".
  FeedForward(const DecoderConfig& config, const std::string& name, WeightSource& weights);

  // out (rows, hidden) of x (rows, hidden).
  void run(std::span<const float> x, std::size_t rows, std::span<float> out,
           ThreadPool& pool) const;

  std::uint64_t weight_bytes() const;

 private:
  Linear gate_;
  Linear up_;
  Linear down_;
};

}  // namespace helix
