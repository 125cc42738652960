#include "models/feed_forward.h"

#include "kernels/scratch.h"
#include "kernels/swiglu.h"
#include "models/row_parts.h"

namespace helix {

FeedForward::FeedForward(const DecoderConfig& config, const std::string& name,
                         WeightSource& weights)
    : gate_(weights.linear(name + ".gate_proj", config.intermediate_size, config.hidden_size,
                           config.feed_forward_bias)),
      up_(weights.linear(name + ".up_proj", config.intermediate_size, config.hidden_size,
                         config.feed_forward_bias)),
      down_(weights.linear(name + ".down_proj", config.hidden_size, config.intermediate_size,
                           config.feed_forward_bias)) {}

void FeedForward::run(std::span<const float> x, std::size_t rows, std::span<float> out,
                      ThreadPool& pool) const {
  const std::size_t width = gate_.rows();
  thread_local Scratch gate_memory;
  const auto gate = gate_memory.span<float>(rows * width);
  if (!gate_.multiply_gated(up_, x, rows, gate, pool)) {
    thread_local Scratch up_memory;
    const auto up = up_memory.span<float>(rows * width);
    const LinearProduct products[] = {{&gate_, gate}, {&up_, up}};
    multiply_together(products, x, rows, pool);
    split_rows(rows, pool, [&](std::size_t begin, std::size_t end) {
      const std::span<float> part = gate.subspan(begin * width, (end - begin) * width);
      silu_multiply(part, up.subspan(begin * width, part.size()), part);
    });
  }
  down_.multiply(gate, rows, out, pool);
}

std::uint64_t FeedForward::weight_bytes() const {
  return gate_.weight_bytes() + up_.weight_bytes() + down_.weight_bytes();
}

}  // namespace helix
