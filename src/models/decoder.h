#pragma once

#include <memory>
#include <vector>

#include "models/attention_block.h"
#include "models/causal_model.h"
#include "models/decoder_config.h"
#include "models/feed_forward.h"
#include "models/weight_source.h"

namespace helix {

// The decoder that Llama and its relatives share (Touvron et al., 2023): for every layer
//   x += attention(norm(x)); x += feed_forward(norm(x))
// and a norm at the end. What differs from one architecture to the next is in DecoderConfig.
class Decoder final : public CausalModel {
 public:
  // The threads of `pool` load the layers. Keys and values are kept in `cache_dtype`, F32 or F16.
  Decoder(DecoderConfig config, std::unique_ptr<WeightSource> weights, DType cache_dtype,
          ThreadPool& pool);

  const ModelInfo& info() const override { return info_; }
  std::unique_ptr<SequenceState> new_state(std::size_t capacity) const override;
  void forward(std::span<const SequenceStep> steps, std::span<float> hidden, ThreadPool& pool,
               const Hooks& hooks) const override;
  void logits(std::span<const float> hidden, std::size_t rows, std::span<float> out,
              ThreadPool& pool) const override;

 private:
  struct Layer {
    std::vector<float> attention_norm;
    AttentionBlock attention;
    std::vector<float> feed_forward_norm;
    FeedForward feed_forward;
  };

  Layer make_layer(std::size_t index);
  std::vector<Layer> make_layers(ThreadPool& pool);
  void count_bytes();
  TokenBatch place(std::span<const SequenceStep> steps) const;
  void check(const SequenceStep& step) const;
  RopeAngles rotate(const SequenceStep& step, std::size_t first_position) const;
  void read_embeddings(std::span<const SequenceStep> steps, std::span<float> x) const;
  void norm(std::span<const float> x, std::span<const float> weight, std::span<float> out,
            ThreadPool& pool) const;
  void add_rows(std::span<const float> change, std::span<float> x, ThreadPool& pool) const;

  DecoderConfig config_;
  std::unique_ptr<WeightSource> weights_;
  DType cache_dtype_;
  EmbeddingTable embedding_;
  std::vector<Layer> layers_;
  std::vector<float> final_norm_;
  Linear output_head_;
  ModelInfo info_;
  RopeFrequencies frequencies_;  // where they do not depend on the length
};

}  // namespace helix
