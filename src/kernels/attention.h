#pragma once

#include <cstddef>
#include <span>

#include "base/thread_pool.h"
#include "helix/tensor.h"

namespace helix {

struct AttentionShape {
  std::size_t query_heads = 0;
  std::size_t key_heads = 0;  // divides query_heads; at most 64 query heads share one
  std::size_t head_dim = 0;   // at most 1024
  float scale = 0.0F;         // of the scores, usually 1 / sqrt(head_dim)
  std::size_t window = 0;     // a token sees itself and the window - 1 before it; 0: all before it
};

// Keys and values of one sequence in one layer, borrowed: each (key_heads, capacity, head_dim) of
// F32, F16 or BF16. One head lies together, because a head is what a thread reads.
struct KeyValueCache {
  std::byte* keys = nullptr;
  std::byte* values = nullptr;
  DType dtype = DType::kF32;
  std::size_t capacity = 0;  // positions
};

// Bytes of the keys, and of the values, of one cache.
std::size_t cache_bytes(const AttentionShape& shape, DType dtype, std::size_t capacity);

// Stores keys and values (tokens, key_heads, head_dim) at positions [position, position + tokens).
// Throws Error(kInvalidArgument) where sizes do not fit or the cache is too small, kUnsupported
// for a finite number that an F16 cache cannot hold; the cache is then as it was.
void append_to_cache(const AttentionShape& shape, const KeyValueCache& cache, std::size_t position,
                     std::span<const float> keys, std::span<const float> values);

// `tokens` successive queries of one sequence, the first at `position`; the cache holds all of
// [0, position + tokens).
struct AttentionSequence {
  KeyValueCache cache;
  std::size_t position = 0;
  std::size_t tokens = 0;
};

// out (tokens, query_heads, head_dim) = softmax(scale * q K^T) V for the tokens of all sequences,
// one sequence after the other; every token sees what its window holds up to itself. F32 throughout
// (caches of 16 bits are widened), on AMX products of F32 numbers as sums of two BF16 ones:
// relative error at most 1e-5 against F64 on the same cache. `out` may be `queries`. The same
// operands give the same result for every number of threads. Throws Error(kInvalidArgument) where
// sizes do not fit.
void attention(const AttentionShape& shape, std::span<const AttentionSequence> sequences,
               std::span<const float> queries, std::span<float> out, ThreadPool& pool);

}  // namespace helix
