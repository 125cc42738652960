#include "models/attention_block.h"

#include <cmath>

#include "kernels/scratch.h"
#include "models/row_parts.h"

namespace helix {
AttentionShape attention_shape(const DecoderConfig& config, std::size_t layer) {
  return {.query_heads = config.head_count,
          .key_heads = config.key_head_count,
          .head_dim = config.head_dim,
          .scale = 1.0F / std::sqrt(static_cast<float>(config.head_dim)),
          .window = config.windows[layer]};
}

AttentionBlock::AttentionBlock(const DecoderConfig& config, std::size_t layer,
                               const std::string& name, WeightSource& weights)
    : layer_(layer),
      shape_(attention_shape(config, layer)),
      query_(weights.linear(name + ".q_proj", config.head_count * config.head_dim,
                            config.hidden_size, config.query_bias)),
      key_(weights.linear(name + ".k_proj", config.key_head_count * config.head_dim,
                          config.hidden_size, config.query_bias)),
      value_(weights.linear(name + ".v_proj", config.key_head_count * config.head_dim,
                            config.hidden_size, config.query_bias)),
      output_(weights.linear(name + ".o_proj", config.hidden_size,
                             config.head_count * config.head_dim, config.output_bias)) {}

std::uint64_t AttentionBlock::weight_bytes() const {
  return query_.weight_bytes() + key_.weight_bytes() + value_.weight_bytes() +
         output_.weight_bytes();
}

void AttentionBlock::run(std::span<const float> x, const TokenBatch& batch, std::span<float> out,
                         ThreadPool& pool) const {
  thread_local Scratch query_memory;
  thread_local Scratch key_memory;
  thread_local Scratch value_memory;
  const auto queries = query_memory.span<float>(batch.rows * query_.rows());
  const auto keys = key_memory.span<float>(batch.rows * key_.rows());
  const auto values = value_memory.span<float>(batch.rows * value_.rows());
  const LinearProduct products[] = {{&query_, queries}, {&key_, keys}, {&value_, values}};
  multiply_together(products, x, batch.rows, pool);
  rotate(batch, shape_.query_heads, queries, pool);
  rotate(batch, shape_.key_heads, keys, pool);
  attend(queries, keys, values, batch, queries, pool);
  output_.multiply(queries, batch.rows, out, pool);
}

void AttentionBlock::rotate(const TokenBatch& batch, std::size_t heads, std::span<float> x,
                            ThreadPool& pool) const {
  const std::size_t width = heads * shape_.head_dim;
  split_rows(batch.rows, pool, [&](std::size_t begin, std::size_t end) {
    apply_rope(batch.angles, heads, shape_.head_dim,
               x.subspan(begin * width, (end - begin) * width), begin);
  });
}

void AttentionBlock::attend(std::span<const float> queries, std::span<const float> keys,
                            std::span<const float> values, const TokenBatch& batch,
                            std::span<float> out, ThreadPool& pool) const {
  const std::size_t width = shape_.key_heads * shape_.head_dim;
  std::vector<AttentionSequence> sequences;
  for (const TokenBatch::Part& part : batch.parts) {
    const KeyValueCache cache = part.cache->layer(layer_);
    split_rows(part.rows, pool, [&](std::size_t begin, std::size_t end) {
      const std::size_t at = (part.first_row + begin) * width;
      const std::size_t size = (end - begin) * width;
      append_to_cache(shape_, cache, part.first_position + begin, keys.subspan(at, size),
                      values.subspan(at, size));
    });
    sequences.push_back({.cache = cache, .position = part.first_position, .tokens = part.rows});
  }
  attention(shape_, sequences, queries, out, pool);
}

}  // namespace helix
