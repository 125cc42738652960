#include "kernels/attention.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
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

// Infinite and NaN go through: what comes of them says itself that something is wrong.
void require_f16(std::span<const float> numbers, const char* what, std::size_t position) {
  constexpr float kLargest = 65520.0F;  // from here on F16 rounds to infinity
  for (const float number : numbers) {
    if (std::fabs(number) < kLargest || !std::isfinite(number)) continue;
    throw_error(ErrorCode::kUnsupported, "a ", what, " of ", number, " from position ", position,
                " on is more than F16 holds, 65504: this model needs precision f32");
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

// Positions that one task reads where few tokens see many: so that threads share a long text. The
// number of threads plays no role.
constexpr std::size_t kPartPositions = 256;

// Successive tokens of one sequence against one key head.
struct Block {
  const AttentionSequence* sequence;
  std::size_t first_token;  // among all tokens
  std::size_t position;
  std::size_t tokens;
  std::size_t key_head;
  std::size_t parts;        // that the positions they see fall into
  std::size_t part_number;  // of the first of them among all parts that will be merged
};

// What one thread does at once: a part of the positions that a block sees.
struct Task {
  std::size_t block;
  std::size_t part;
  std::size_t begin;
  std::size_t end;
};

struct Plan {
  std::vector<Block> blocks;
  std::vector<Task> tasks;
  std::size_t merged_parts = 0;
};

Plan make_plan(const AttentionShape& shape, std::span<const AttentionSequence> sequences) {
  const std::size_t tokens_at_once = kAttentionRows / (shape.query_heads / shape.key_heads);
  Plan plan;
  std::size_t token = 0;
  for (const AttentionSequence& sequence : sequences) {
    for (std::size_t i = 0; i < sequence.tokens; i += tokens_at_once) {
      const std::size_t count = std::min(tokens_at_once, sequence.tokens - i);
      const std::size_t position = sequence.position + i;
      const std::size_t begin =
          shape.window == 0 || position < shape.window ? 0 : position + 1 - shape.window;
      const std::size_t end = position + count;
      const bool few = sequence.tokens <= tokens_at_once;
      const std::size_t parts = few ? (end - begin + kPartPositions - 1) / kPartPositions : 1;
      const std::size_t tiles = (end - begin + kAttentionTile - 1) / kAttentionTile;
      const auto part_begin = [&](std::size_t part) {
        return std::min(end, begin + tiles * part / parts * kAttentionTile);
      };
      for (std::size_t head = 0; head < shape.key_heads; ++head) {
        for (std::size_t part = 0; part < parts; ++part) {
          plan.tasks.push_back({plan.blocks.size(), part, part_begin(part), part_begin(part + 1)});
        }
        plan.blocks.push_back(
            {&sequence, token + i, position, count, head, parts, plan.merged_parts});
        if (parts > 1) plan.merged_parts += parts;
      }
    }
    token += sequence.tokens;
  }
  // The longest first, so that the last ones to end are short.
  const auto work = [&](const Task& task) {
    return (task.end - task.begin) * plan.blocks[task.block].tokens;
  };
  std::stable_sort(plan.tasks.begin(), plan.tasks.end(),
                   [&](const Task& a, const Task& b) { return work(a) > work(b); });
  return plan;
}

// One pass over the blocks of a plan.
class AttentionRun {
 public:
  AttentionRun(const AttentionShape& shape, const Plan& plan, const float* queries, float* out)
      : kernels_(active_kernels()),
        shape_(shape),
        plan_(plan),
        group_(shape.query_heads / shape.key_heads),
        queries_(queries),
        out_(out) {
    thread_local Scratch memory;
    parts_ = memory.get<float>(plan.merged_parts * part_size());
    if (plan.merged_parts > 0) left_ = std::vector<std::atomic<std::size_t>>(plan.blocks.size());
    for (std::size_t i = 0; i < left_.size(); ++i) left_[i] = plan.blocks[i].parts;
  }

  void run(const Task& task) {
    const Block& block = plan_.blocks[task.block];
    std::size_t offsets[kAttentionRows];
    for (std::size_t i = 0; i < rows(block); ++i) offsets[i] = offset(block, i);
    if (block.parts == 1) {
      float maxima[kAttentionRows];
      float totals[kAttentionRows];
      attend(task, offsets, {out_, maxima, totals}, offsets);
      return;
    }
    std::size_t part_offsets[kAttentionRows];
    for (std::size_t i = 0; i < rows(block); ++i) part_offsets[i] = i * shape_.head_dim;
    attend(task, offsets, result(block, task.part), part_offsets);
    if (left_[task.block].fetch_sub(1, std::memory_order_acq_rel) == 1) merge(block);
  }

 private:
  struct Result {
    float* out;
    float* maxima;  // (kAttentionRows), as the totals
    float* totals;
  };

  std::size_t part_size() const { return kAttentionRows * (shape_.head_dim + 2); }
  std::size_t rows(const Block& block) const { return block.tokens * group_; }

  // Where row i of the block lies in queries and out.
  std::size_t offset(const Block& block, std::size_t i) const {
    const std::size_t head = block.key_head * group_ + i % group_;
    const std::size_t token = block.first_token + i / group_;
    return (token * shape_.query_heads + head) * shape_.head_dim;
  }

  Result result(const Block& block, std::size_t part) const {
    float* memory = parts_ + (block.part_number + part) * part_size();
    return {memory + 2 * kAttentionRows, memory, memory + kAttentionRows};
  }

  void attend(const Task& task, const std::size_t* query_offsets, const Result& to,
              const std::size_t* out_offsets) const {
    thread_local Scratch memory;
    const Block& block = plan_.blocks[task.block];
    const KeyValueCache& cache = block.sequence->cache;
    const std::size_t head_bytes =
        block.key_head * cache.capacity * shape_.head_dim * dtype_bytes(cache.dtype);
    std::size_t positions[kAttentionRows];
    for (std::size_t i = 0; i < rows(block); ++i) positions[i] = block.position + i / group_;
    kernels_.attention({.queries = queries_,
                        .query_offset = query_offsets,
                        .out = to.out,
                        .out_offset = out_offsets,
                        .maxima = to.maxima,
                        .totals = to.totals,
                        .row_position = positions,
                        .rows = rows(block),
                        .keys = cache.keys + head_bytes,
                        .values = cache.values + head_bytes,
                        .type = cache_type(cache.dtype),
                        .head_dim = shape_.head_dim,
                        .position_begin = task.begin,
                        .position_end = task.end,
                        .window = shape_.window,
                        .scale = shape_.scale,
                        .scratch = memory.get<float>(attention_scratch(shape_.head_dim))});
  }

  // Every part of a row counts by the sum its weights would have had beside the others'.
  void merge(const Block& block) const {
    for (std::size_t row = 0; row < rows(block); ++row) {
      float* to = out_ + offset(block, row);
      std::fill_n(to, shape_.head_dim, 0.0F);
      float top = -std::numeric_limits<float>::infinity();
      for (std::size_t part = 0; part < block.parts; ++part) {
        top = std::max(top, result(block, part).maxima[row]);
      }
      const auto weight = [&](const Result& of) {
        return of.totals[row] * std::exp(of.maxima[row] - top);
      };
      float total = 0.0F;
      for (std::size_t part = 0; part < block.parts; ++part) {
        total += weight(result(block, part));
      }
      for (std::size_t part = 0; part < block.parts; ++part) {
        const Result from = result(block, part);
        if (from.totals[row] == 0.0F) continue;  // it saw nothing
        const float share = weight(from) / total;
        const float* values = from.out + row * shape_.head_dim;
        for (std::size_t i = 0; i < shape_.head_dim; ++i) to[i] += share * values[i];
      }
    }
  }

  const KernelTable& kernels_;
  const AttentionShape& shape_;
  const Plan& plan_;
  std::size_t group_;
  const float* queries_;
  float* out_;
  float* parts_;
  std::vector<std::atomic<std::size_t>> left_;  // parts of every block that are not done
};

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
  if (cache.dtype == DType::kF16) {
    require_f16(keys, "key", position);
    require_f16(values, "value", position);
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
  const Plan plan = make_plan(shape, sequences);
  AttentionRun run(shape, plan, queries.data(), out.data());
  pool.run(plan.tasks.size(), [&](std::size_t i) { run.run(plan.tasks[i]); });
}

}  // namespace helix
