#include "kernels/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>

#include "helix/error.h"
#include "kernels/isa.h"
#include "kernels/kernel_test_data.h"

namespace helix {
namespace {

using kernel_test::gaussian;
using kernel_test::relative_error;

// A cache of random keys and values, rounded to its type.
class TestCache {
 public:
  TestCache(const AttentionShape& shape, DType dtype, std::size_t length, std::uint32_t seed)
      : keys_(cache_bytes(shape, dtype, length + 3)), values_(keys_.size()) {
    cache_ = {keys_.data(), values_.data(), dtype, length + 3};
    const std::size_t token = shape.key_heads * shape.head_dim;
    // Two appends: what is written in parts is one sequence.
    const auto keys = gaussian(length * token, seed);
    const auto values = gaussian(length * token, seed + 1);
    const std::size_t first = length / 2 * token;
    append_to_cache(shape, cache_, 0, std::span(keys).first(first), std::span(values).first(first));
    append_to_cache(shape, cache_, length / 2, std::span(keys).subspan(first),
                    std::span(values).subspan(first));
  }

  const KeyValueCache& cache() const { return cache_; }

  std::vector<float> read(const std::vector<std::byte>& bytes) const {
    std::vector<float> floats(bytes.size() / dtype_bytes(cache_.dtype));
    read_floats({cache_.dtype, {floats.size()}, bytes}, 0, floats);
    return floats;
  }
  std::vector<float> keys() const { return read(keys_); }
  std::vector<float> values() const { return read(values_); }

 private:
  std::vector<std::byte> keys_;
  std::vector<std::byte> values_;
  KeyValueCache cache_;
};

// Plain F64 loops over one sequence.
std::vector<double> attention_reference(const AttentionShape& shape, const TestCache& cache,
                                        std::size_t position, std::size_t tokens,
                                        std::span<const float> queries) {
  const auto keys = cache.keys();
  const auto values = cache.values();
  const std::size_t dim = shape.head_dim;
  std::vector<double> out(queries.size(), 0.0);
  for (std::size_t i = 0; i < tokens * shape.query_heads; ++i) {
    const std::size_t head = i % shape.query_heads / (shape.query_heads / shape.key_heads);
    const std::size_t last = position + i / shape.query_heads;
    const std::size_t first =
        shape.window != 0 && last >= shape.window ? last - shape.window + 1 : 0;
    std::vector<double> weights;
    double sum = 0.0;
    for (std::size_t p = first; p <= last; ++p) {
      double score = 0.0;
      for (std::size_t j = 0; j < dim; ++j) {
        score += double{queries[i * dim + j]} *
                 double{keys[(head * cache.cache().capacity + p) * dim + j]};
      }
      weights.push_back(std::exp(score * double{shape.scale}));
      sum += weights.back();
    }
    for (std::size_t p = first; p <= last; ++p) {
      for (std::size_t j = 0; j < dim; ++j) {
        out[i * dim + j] += weights[p - first] / sum *
                            double{values[(head * cache.cache().capacity + p) * dim + j]};
      }
    }
  }
  return out;
}

struct Run {
  std::size_t position;
  std::size_t tokens;
};

void expect_attention(AttentionShape shape, DType dtype, const std::vector<Run>& runs) {
  shape.scale = 1.0F / std::sqrt(static_cast<float>(shape.head_dim));
  std::vector<std::unique_ptr<TestCache>> caches;
  std::vector<AttentionSequence> sequences;
  std::vector<float> queries;
  std::vector<double> expected;
  std::uint32_t seed = 100;
  for (const Run& run : runs) {
    caches.push_back(
        std::make_unique<TestCache>(shape, dtype, run.position + run.tokens, seed += 10));
    sequences.push_back({caches.back()->cache(), run.position, run.tokens});
    const auto q = gaussian(run.tokens * shape.query_heads * shape.head_dim, seed + 5, 2.0F);
    const auto part = attention_reference(shape, *caches.back(), run.position, run.tokens, q);
    queries.insert(queries.end(), q.begin(), q.end());
    expected.insert(expected.end(), part.begin(), part.end());
  }
  ThreadPool pool(2);
  for (const Isa isa : available_isas()) {
    const IsaOverride with(isa);
    std::vector<float> out(queries.size());
    attention(shape, sequences, queries, out, pool);
    EXPECT_LE(relative_error(out, expected), isa == Isa::kAmx ? 1e-5 : 2e-6) << isa_name(isa);
    ThreadPool alone(1);
    auto in_place = queries;
    attention(shape, sequences, in_place, in_place, alone);
    EXPECT_EQ(in_place, out) << isa_name(isa);
  }
}

TEST(Attention, DecodesOneToken) {
  expect_attention({.query_heads = 8, .key_heads = 2, .head_dim = 64}, DType::kF32, {{0, 1}});
  expect_attention({.query_heads = 8, .key_heads = 2, .head_dim = 64}, DType::kF32, {{200, 1}});
}

TEST(Attention, ChunkedPrefill) {
  expect_attention({.query_heads = 4, .key_heads = 4, .head_dim = 32}, DType::kF32,
                   {{0, 130}, {70, 61}});
}

TEST(Attention, HeadSizesThatFillNothing) {
  for (const std::size_t head_dim : {1U, 8U, 20U, 80U, 96U, 128U}) {
    expect_attention({.query_heads = 6, .key_heads = 2, .head_dim = head_dim}, DType::kF32,
                     {{3, 40}});
  }
}

// Few tokens after many are done in parts of the positions, which are merged.
TEST(Attention, LongTexts) {
  for (const DType dtype : {DType::kF32, DType::kF16}) {
    expect_attention({.query_heads = 6, .key_heads = 2, .head_dim = 40}, dtype,
                     {{1000, 1}, {255, 1}, {256, 1}, {257, 2}, {700, 21}, {600, 22}});
  }
  for (const std::size_t window : {1U, 300U, 512U}) {
    expect_attention({.query_heads = 4, .key_heads = 2, .head_dim = 32, .window = window},
                     DType::kF32, {{900, 1}, {511, 3}, {513, 30}});
  }
}

TEST(Attention, NumbersThatAreNotFiniteShowInTheirRow) {
  const AttentionShape shape{.query_heads = 2, .key_heads = 1, .head_dim = 8, .scale = 1.0F};
  const TestCache cache(shape, DType::kF32, 700, 1);
  ThreadPool pool(2);
  const AttentionSequence sequence = {cache.cache(), 699, 1};
  for (const Isa isa : available_isas()) {
    const IsaOverride with(isa);
    auto queries = gaussian(16, 3);
    queries[3] = std::numeric_limits<float>::quiet_NaN();
    std::vector<float> out(16);
    attention(shape, std::span(&sequence, 1), queries, out, pool);
    EXPECT_TRUE(std::isnan(out[0])) << isa_name(isa);
    EXPECT_TRUE(std::isfinite(out[8])) << isa_name(isa);
  }
}

TEST(Attention, ManySequencesAtOnce) {
  expect_attention({.query_heads = 14, .key_heads = 2, .head_dim = 64}, DType::kF32,
                   {{0, 5}, {99, 1}, {64, 1}, {63, 2}, {10, 70}});
}

TEST(Attention, SixteenBitCaches) {
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    expect_attention({.query_heads = 4, .key_heads = 2, .head_dim = 48}, dtype, {{30, 50}});
  }
}

TEST(Attention, SlidingWindow) {
  for (const std::size_t window : {1U, 7U, 64U, 100U}) {
    expect_attention({.query_heads = 4, .key_heads = 2, .head_dim = 32, .window = window},
                     DType::kF32, {{0, 150}, {120, 1}, {300, 20}});
  }
}

TEST(Attention, WrongSizesAreRefused) {
  const AttentionShape shape{.query_heads = 4, .key_heads = 2, .head_dim = 8, .scale = 1.0F};
  const TestCache cache(shape, DType::kF32, 10, 1);
  ThreadPool pool(1);
  std::vector<float> q(32);
  const auto run = [&](const AttentionShape& with, const AttentionSequence& sequence) {
    attention(with, std::span(&sequence, 1), q, q, pool);
  };
  EXPECT_THROW(run(shape, {cache.cache(), 13, 1}), Error);
  EXPECT_THROW(run(shape, {cache.cache(), 0, 2}), Error);
  EXPECT_THROW(run({.query_heads = 3, .key_heads = 2, .head_dim = 8}, {cache.cache(), 0, 1}),
               Error);
  EXPECT_THROW(
      append_to_cache(shape, cache.cache(), 13, std::span(q).first(16), std::span(q).first(16)),
      Error);
}

TEST(AppendToCache, ANumberThatF16CannotHoldIsNamed) {
  const AttentionShape shape = {.query_heads = 1, .key_heads = 1, .head_dim = 2, .scale = 1.0F};
  const std::vector<float> fits = {65504.0F, -65519.0F};
  const std::vector<float> large = {1.0F, -70000.0F};
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    std::vector<std::byte> keys(cache_bytes(shape, dtype, 1));
    std::vector<std::byte> values(keys.size());
    const KeyValueCache cache = {keys.data(), values.data(), dtype, 1};
    append_to_cache(shape, cache, 0, fits, fits);
    if (dtype != DType::kF16) {
      append_to_cache(shape, cache, 0, large, large);
      continue;
    }
    EXPECT_THROW(append_to_cache(shape, cache, 0, large, fits), Error);
    EXPECT_THROW(append_to_cache(shape, cache, 0, fits, large), Error);
  }
}

}  // namespace
}  // namespace helix
