#include "kernels/attention.h"

#include <algorithm>
#include <vector>

#include "base/message.h"
#include "kernels/cpu/kernel_table.h"
#include "kernels/scratch.h"

namespace helix {
namespace {

WeightType cache_type(DType dtype) {
  switch (dtype) {
    case DType::kF32: return WeightType::kF32;
    case DType::kF16: return WeightType::kF16;
    case DType::kBF16: return WeightType::kBF16;
    default:
      throw_error(ErrorCode::kInvalidArgument, "key and value cache of type ", dtype_name(dtype),
                  "; expected F32, F16 or BF16");
  }
}

void check_shape(const AttentionShape& shape) {
  constexpr std::size_t kLargestHead = 1024;
  if (shape.key_heads == 0 || shape.query_heads == 0 || shape.query_heads % shape.key_heads != 0 ||
      shape.query_heads / shape.key_heads > kAttentionRows || shape.head_dim == 0 ||
      shape.head_dim > kLargestHead) {
    throw_error(ErrorCode::kInvalidArgument, "attention of ", shape.query_heads, " query heads to ",
                shape.key_heads, " key heads of ", shape.head_dim);
  }
}

// Successive tokens of one sequence against one key head: what one task does.
struct Block {
  const AttentionSequence* sequence;
  std::size_t first_token;  // among all tokens
  std::size_t position;
  std::size_t tokens;
  std::size_t key_head;
};

std::vector<Block> make_blocks(const AttentionShape& shape,
                               std::span<const AttentionSequence> sequences) {
  const std::size_t tokens_at_once = kAttentionRows / (shape.query_heads / shape.key_heads);
  std::vector<Block> blocks;
  std::size_t token = 0;
  for (const AttentionSequence& sequence : sequences) {
    for (std::size_t i = 0; i < sequence.tokens; i += tokens_at_once) {
      const std::size_t count = std::min(tokens_at_once, sequence.tokens - i);
      for (std::size_t head = 0; head < shape.key_heads; ++head) {
        blocks.push_back({&sequence, token + i, sequence.position + i, count, head});
      }
    }
    token += sequence.tokens;
  }
  // The longest first, so that the last ones to end are short.
  std::stable_sort(blocks.begin(), blocks.end(), [](const Block& a, const Block& b) {
    return a.position + a.tokens > b.position + b.tokens;
  });
  return blocks;
}

void run_block(const KernelTable& kernels, const AttentionShape& shape, const Block& block,
               const float* queries, float* out) {
  thread_local Scratch memory;
  const std::size_t group = shape.query_heads / shape.key_heads;
  const KeyValueCache& cache = block.sequence->cache;
  std::size_t offsets[kAttentionRows];
  std::size_t positions[kAttentionRows];
  for (std::size_t i = 0; i < block.tokens * group; ++i) {
    const std::size_t head = block.key_head * group + i % group;
    const std::size_t token = block.first_token + i / group;
    offsets[i] = (token * shape.query_heads + head) * shape.head_dim;
    positions[i] = block.position + i / group;
  }
  const std::size_t head_bytes =
      block.key_head * cache.capacity * shape.head_dim * dtype_bytes(cache.dtype);
  AttentionTask task = {};
  task.queries = queries;
  task.out = out;
  task.row_offset = offsets;
  task.row_position = positions;
  task.rows = block.tokens * group;
  task.keys = cache.keys + head_bytes;
  task.values = cache.values + head_bytes;
  task.type = cache_type(cache.dtype);
  task.head_dim = shape.head_dim;
  const std::size_t first = block.position + 1;
  task.position_begin = shape.window == 0 || first <= shape.window ? 0 : first - shape.window;
  task.position_end = block.position + block.tokens;
  task.window = shape.window;
  task.scale = shape.scale;
  task.scratch = memory.get<float>(attention_scratch(shape.head_dim));
  kernels.attention(task);
}

}  // namespace

std::size_t cache_bytes(const AttentionShape& shape, DType dtype, std::size_t capacity) {
  return shape.key_heads * capacity * shape.head_dim * dtype_bytes(dtype);
}

void append_to_cache(const AttentionShape& shape, const KeyValueCache& cache, std::size_t position,
                     std::span<const float> keys, std::span<const float> values) {
  check_shape(shape);
  cache_type(cache.dtype);
  const std::size_t token_size = shape.key_heads * shape.head_dim;
  const std::size_t tokens = keys.size() / token_size;
  if (keys.size() % token_size != 0 || keys.size() != values.size() || position > cache.capacity ||
      tokens > cache.capacity - position) {
    throw_error(ErrorCode::kInvalidArgument, keys.size(), " keys and ", values.size(),
                " values of ", shape.key_heads, " heads of ", shape.head_dim, " at position ",
                position, " of a cache of ", cache.capacity);
  }
  const std::size_t bytes = shape.head_dim * dtype_bytes(cache.dtype);
  for (std::size_t i = 0; i < tokens * shape.key_heads; ++i) {
    const std::size_t head = i % shape.key_heads;
    const std::size_t at = (head * cache.capacity + position + i / shape.key_heads) * bytes;
    write_floats(keys.subspan(i * shape.head_dim, shape.head_dim), cache.dtype,
                 {cache.keys + at, bytes});
    write_floats(values.subspan(i * shape.head_dim, shape.head_dim), cache.dtype,
                 {cache.values + at, bytes});
  }
}

void attention(const AttentionShape& shape, std::span<const AttentionSequence> sequences,
               std::span<const float> queries, std::span<float> out, ThreadPool& pool) {
  check_shape(shape);
  std::size_t tokens = 0;
  for (const AttentionSequence& sequence : sequences) {
    cache_type(sequence.cache.dtype);
    if (sequence.position + sequence.tokens > sequence.cache.capacity) {
      throw_error(ErrorCode::kInvalidArgument, sequence.tokens, " tokens at position ",
                  sequence.position, " of a cache of ", sequence.cache.capacity);
    }
    tokens += sequence.tokens;
  }
  const std::size_t expected = tokens * shape.query_heads * shape.head_dim;
  if (queries.size() != expected || out.size() != expected) {
    throw_error(ErrorCode::kInvalidArgument, "attention of ", tokens, " tokens: ", queries.size(),
                " queries into ", out.size(), ", expected ", expected);
  }
  const auto blocks = make_blocks(shape, sequences);
  const KernelTable& kernels = active_kernels();
  pool.run(blocks.size(), [&](std::size_t i) {
    run_block(kernels, shape, blocks[i], queries.data(), out.data());
  });
}

}  // namespace helix
