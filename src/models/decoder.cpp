#include "models/decoder.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

#include "base/message.h"
#include "kernels/rms_norm.h"
#include "kernels/scratch.h"
#include "kernels/swiglu.h"
#include "models/row_parts.h"

namespace helix {
namespace {

constexpr double kMostPositions = 1 << 30;
constexpr const char* kEmbedding = "model.embed_tokens";

// Scaled RoPE takes texts longer than the trained length; where config.json states the trained one
// as max_position_embeddings, the factor says how much longer.
std::size_t longest_text(const DecoderConfig& config) {
  auto positions = static_cast<double>(config.max_positions);
  switch (config.rope.scaling) {
    case RopeScaling::kDefault:
    case RopeScaling::kLlama3: break;
    case RopeScaling::kLinear:
    case RopeScaling::kDynamic: positions *= config.rope.factor; break;
    case RopeScaling::kYarn:
      positions = std::max(
          positions, static_cast<double>(config.rope.original_max_positions) * config.rope.factor);
  }
  return static_cast<std::size_t>(std::min(positions, kMostPositions));
}

void append(std::vector<float>& to, const std::vector<float>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace

Decoder::Decoder(DecoderConfig config, std::unique_ptr<WeightSource> weights, DType cache_dtype,
                 ThreadPool& pool)
    : config_(std::move(config)),
      weights_(std::move(weights)),
      cache_dtype_(cache_dtype),
      embedding_(weights_->embedding(kEmbedding, config_.vocabulary_size, config_.hidden_size)),
      layers_(make_layers(pool)),
      final_norm_(weights_->vector("model.norm.weight", config_.hidden_size)),
      output_head_(weights_->linear(config_.tied_embeddings ? kEmbedding : "lm_head",
                                    config_.vocabulary_size, config_.hidden_size, false)),
      frequencies_(rope_frequencies(config_.rope)) {
  info_.model_type = config_.model_type;
  info_.vocabulary_size = config_.vocabulary_size;
  info_.hidden_size = config_.hidden_size;
  info_.max_positions = longest_text(config_);
  info_.end_tokens = config_.end_tokens;
  count_bytes();
}

Decoder::Layer Decoder::make_layer(std::size_t index) {
  const std::string name = concat("model.layers.", index);
  return {weights_->vector(name + ".input_layernorm.weight", config_.hidden_size),
          AttentionBlock(config_, index, name + ".self_attn", *weights_),
          weights_->vector(name + ".post_attention_layernorm.weight", config_.hidden_size),
          FeedForward(config_, name + ".mlp", *weights_)};
}

std::vector<Decoder::Layer> Decoder::make_layers(ThreadPool& pool) {
  std::vector<std::optional<Layer>> made(config_.layer_count);
  pool.run(made.size(), [&](std::size_t i) { made[i].emplace(make_layer(i)); });
  std::vector<Layer> layers;
  for (std::optional<Layer>& layer : made) layers.push_back(std::move(*layer));
  return layers;
}

void Decoder::count_bytes() {
  std::uint64_t bytes = output_head_.weight_bytes();
  for (const Layer& layer : layers_) {
    bytes += layer.attention.weight_bytes() + layer.feed_forward.weight_bytes();
  }
  info_.total_weight_bytes = bytes + (config_.tied_embeddings ? 0 : embedding_.weight_bytes());
  info_.token_weight_bytes = bytes + embedding_.weight_bytes() / config_.vocabulary_size;
}

std::unique_ptr<SequenceState> Decoder::new_state(std::size_t capacity) const {
  const bool dynamic = config_.rope.scaling == RopeScaling::kDynamic;
  return std::make_unique<KvCache>(attention_shape(config_, 0), config_.layer_count, cache_dtype_,
                                   capacity, dynamic ? config_.max_positions : SIZE_MAX);
}

void Decoder::forward(std::span<const SequenceStep> steps, std::span<float> hidden,
                      ThreadPool& pool, const Hooks& hooks) const {
  const TokenBatch batch = place(steps);
  thread_local Scratch x_memory;
  thread_local Scratch normed_memory;
  thread_local Scratch change_memory;
  const auto x = x_memory.span<float>(batch.rows * config_.hidden_size);
  const auto normed = normed_memory.span<float>(x.size());
  const auto change = change_memory.span<float>(x.size());
  read_embeddings(steps, x);
  for (const Layer& layer : layers_) {
    hooks.check_cancelled();
    norm(x, layer.attention_norm, normed, pool);
    layer.attention.run(normed, batch, change, pool);
    add_rows(change, x, pool);
    norm(x, layer.feed_forward_norm, normed, pool);
    layer.feed_forward.run(normed, batch.rows, change, pool);
    add_rows(change, x, pool);
  }
  norm(x, final_norm_, hidden, pool);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const TokenBatch::Part& part = batch.parts[i];
    const std::size_t length = part.first_position + part.rows;
    part.cache->set_length(length, std::max(length, steps[i].final_length));
  }
}

void Decoder::logits(std::span<const float> hidden, std::size_t rows, std::span<float> out,
                     ThreadPool& pool) const {
  output_head_.multiply(hidden.first(rows * config_.hidden_size), rows,
                        out.first(rows * config_.vocabulary_size), pool);
}

void Decoder::check(const SequenceStep& step) const {
  const auto* cache = dynamic_cast<const KvCache*>(step.state);
  if (cache == nullptr || step.tokens.empty()) {
    throw_error(ErrorCode::kInvalidArgument, "a step needs tokens and a state of this model");
  }
  const std::size_t end = cache->length() + step.tokens.size();
  if (end > cache->capacity()) {
    throw_error(ErrorCode::kInvalidArgument, "the sequence would have ", end,
                " tokens, its context takes ", cache->capacity());
  }
  for (const std::int32_t token : step.tokens) {
    if (token >= 0 && static_cast<std::size_t>(token) < config_.vocabulary_size) continue;
    throw_error(ErrorCode::kInvalidArgument, "token ", token,
                " is not in the model's vocabulary of ", config_.vocabulary_size);
  }
}

RopeAngles Decoder::rotate(const SequenceStep& step, std::size_t first_position) const {
  std::vector<std::uint32_t> positions(step.tokens.size());
  std::iota(positions.begin(), positions.end(), static_cast<std::uint32_t>(first_position));
  if (config_.rope.scaling != RopeScaling::kDynamic) return rope_angles(frequencies_, positions);
  const std::size_t length = std::max(step.final_length, first_position + positions.size());
  return rope_angles(rope_frequencies(config_.rope, length), positions);
}

TokenBatch Decoder::place(std::span<const SequenceStep> steps) const {
  for (const SequenceStep& step : steps) check(step);
  TokenBatch batch;
  for (const SequenceStep& step : steps) {
    auto* cache = static_cast<KvCache*>(step.state);
    const std::size_t first_position = cache->length();
    cache->reserve(first_position + step.tokens.size());
    const RopeAngles angles = rotate(step, first_position);
    append(batch.angles.cosines, angles.cosines);
    append(batch.angles.sines, angles.sines);
    batch.parts.push_back({cache, batch.rows, step.tokens.size(), first_position});
    batch.rows += step.tokens.size();
  }
  return batch;
}

void Decoder::read_embeddings(std::span<const SequenceStep> steps, std::span<float> x) const {
  for (const SequenceStep& step : steps) {
    const std::vector<std::uint32_t> ids(step.tokens.begin(), step.tokens.end());
    embedding_.read(ids, x.first(ids.size() * config_.hidden_size));
    x = x.subspan(ids.size() * config_.hidden_size);
  }
}

void Decoder::norm(std::span<const float> x, std::span<const float> weight, std::span<float> out,
                   ThreadPool& pool) const {
  const std::size_t width = config_.hidden_size;
  split_rows(x.size() / width, pool, [&](std::size_t begin, std::size_t end) {
    rms_norm(x.subspan(begin * width, (end - begin) * width), weight, config_.norm_epsilon,
             out.subspan(begin * width, (end - begin) * width));
  });
}

void Decoder::add_rows(std::span<const float> change, std::span<float> x, ThreadPool& pool) const {
  const std::size_t width = config_.hidden_size;
  split_rows(x.size() / width, pool, [&](std::size_t begin, std::size_t end) {
    add(change.subspan(begin * width, (end - begin) * width),
        x.subspan(begin * width, (end - begin) * width));
  });
}

}  // namespace helix
