#include <algorithm>
#include <chrono>
#include <functional>
#include <numeric>
#include <random>

#include "api/peak_memory.h"
#include "base/large_memory.h"
#include "base/message.h"
#include "base/thread_pool.h"
#include "engine/engine.h"
#include "engine/sampler.h"
#include "helix/model.h"
#include "kernels/isa.h"
#include "models/load_model.h"

namespace helix {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kShortPrompt = 16;
constexpr std::size_t kReadBytes = std::size_t{256} << 20;  // far more than any cache
constexpr std::size_t kReadParts = 64;

double seconds_of(const std::function<void()>& work) {
  const auto start = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Sums `count` words, a multiple of 32 * kPlaces, in `kPlaces` places by turns, asking for what
// comes `kAhead` words later.
template <std::size_t kAhead, std::size_t kPlaces>
std::uint64_t sum_of(const std::uint64_t* from, std::size_t count) {
  const std::size_t apart = count / kPlaces;
  std::uint64_t lanes[32] = {};
  for (std::size_t i = 0; i < count; i += 32) {
    const std::uint64_t* words = from + i / 32 % kPlaces * apart + i / 32 / kPlaces * 32;
    for (std::size_t line = 0; kAhead > 0 && line < 32; line += 8) {
      __builtin_prefetch(words + kAhead + line);
    }
    for (std::size_t lane = 0; lane < 32; ++lane) lanes[lane] += words[lane];
  }
  return std::accumulate(std::begin(lanes), std::end(lanes), std::uint64_t{0});
}

// Sums a buffer with all threads; the best of several passes in order, asking ahead, and in four
// places at once: which is fastest differs from processor to processor.
double measure_read_bandwidth(ThreadPool& pool) {
  constexpr std::uint64_t (*kWays[])(const std::uint64_t*, std::size_t) = {
      sum_of<0, 1>, sum_of<128, 1>, sum_of<0, 4>};
  const LargeVector<std::uint64_t> buffer(kReadBytes / sizeof(std::uint64_t), 1);
  const std::size_t part = buffer.size() / kReadParts;
  std::vector<std::uint64_t> sums(kReadParts);
  double best = 0.0;
  for (int pass = 0; pass < 9; ++pass) {
    const double seconds = seconds_of([&] {
      pool.run(kReadParts,
               [&](std::size_t i) { sums[i] = kWays[pass % 3](buffer.data() + i * part, part); });
    });
    best = std::max(best, static_cast<double>(kReadBytes) / seconds);
  }
  if (std::accumulate(sums.begin(), sums.end(), std::uint64_t{0}) != buffer.size()) {
    throw_error(ErrorCode::kInternal, "the read measurement has read something else");
  }
  return best;
}

std::vector<std::int32_t> random_tokens(std::size_t count, std::size_t vocabulary) {
  std::mt19937 generator(1);
  std::vector<std::int32_t> tokens(count);
  for (auto& token : tokens) token = static_cast<std::int32_t>(generator() % vocabulary);
  return tokens;
}

class Stopwatch {
 public:
  Stopwatch(Engine& engine, const BenchmarkOptions& options)
      : engine_(engine),
        options_(options),
        prompt_(random_tokens(options.prompt_tokens, engine.info().vocabulary_size)) {}

  void first_token() {
    Sequence sequence = engine_.new_sequence();
    const std::size_t count = std::min(kShortPrompt, prompt_.size());
    most_likely(engine_.append(sequence, std::span(prompt_).first(count), options_.hooks));
  }

  void repeat(Benchmark& result) {
    Sequence sequence = engine_.new_sequence();
    std::int32_t token = 0;
    const double prompt_seconds =
        seconds_of([&] { token = most_likely(engine_.append(sequence, prompt_, options_.hooks)); });
    const double seconds = seconds_of([&] {
      for (std::size_t i = 0; i < options_.generated_tokens; ++i) {
        token = most_likely(engine_.append(sequence, std::span(&token, 1), options_.hooks));
      }
    });
    result.prompt_samples.push_back(static_cast<double>(prompt_.size()) / prompt_seconds);
    result.generated_samples.push_back(static_cast<double>(options_.generated_tokens) / seconds);
    result.cache_bytes = sequence.state_bytes();
  }

 private:
  Engine& engine_;
  const BenchmarkOptions& options_;
  std::vector<std::int32_t> prompt_;
};

std::shared_ptr<const CausalModel> open(const std::filesystem::path& path, bool made_up,
                                        const BenchmarkOptions& options) {
  const LoadOptions load = {
      .precision = options.precision, .hooks = options.hooks, .thread_count = options.thread_count};
  if (!made_up) return load_model(path, load);
  return random_model(path, {.load = load,
                             .compressed_embeddings = options.compressed_embeddings,
                             .dense = options.dense});
}

void check(const BenchmarkOptions& options) {
  constexpr std::size_t kMost = std::size_t{1} << 30;  // so that sums stay in range
  if (std::max(options.prompt_tokens, options.generated_tokens) > kMost) {
    throw_error(ErrorCode::kInvalidArgument, "a benchmark of ", options.prompt_tokens, " and ",
                options.generated_tokens, " tokens, expected at most ", kMost);
  }
  if (options.prompt_tokens == 0 || options.generated_tokens == 0 || options.repetitions == 0) {
    throw_error(ErrorCode::kInvalidArgument,
                "a benchmark needs at least one prompt token, generated token and repetition");
  }
}

}  // namespace

Benchmark benchmark(const std::filesystem::path& path, bool made_up,
                    const BenchmarkOptions& options) {
  check(options);
  Benchmark result;
  auto start = Clock::now();
  const std::shared_ptr<const CausalModel> model = open(path, made_up, options);
  result.load_seconds = std::chrono::duration<double>(Clock::now() - start).count();
  if (options.prompt_tokens + options.generated_tokens > model->info().max_positions) {
    throw_error(ErrorCode::kInvalidArgument, "a prompt of ", options.prompt_tokens, " and ",
                options.generated_tokens,
                " generated tokens, but the model takes texts of at most ",
                model->info().max_positions);
  }
  if (made_up) start = Clock::now();
  EngineOptions engine_options;
  engine_options.thread_count = options.thread_count;
  engine_options.context_length = options.prompt_tokens + options.generated_tokens;
  Engine engine(model, engine_options);
  Stopwatch stopwatch(engine, options);
  stopwatch.first_token();
  result.first_token_seconds = std::chrono::duration<double>(Clock::now() - start).count();
  // What memory delivers changes with what else the machine does, so every repetition is followed
  // by a measurement of plain reading.
  std::vector<double> reading;
  for (std::size_t i = 0; i < options.repetitions; ++i) {
    options.hooks.report({.stage = "bench",
                          .item = {},
                          .done_bytes = i,
                          .total_bytes = options.repetitions,
                          .unit = "repetitions"});
    stopwatch.repeat(result);
    if (i == 0) result.peak_memory_bytes = peak_memory();  // before that takes memory of its own
    reading.push_back(measure_read_bandwidth(engine.pool()));
  }
  options.hooks.report({.stage = "bench",
                        .item = {},
                        .done_bytes = options.repetitions,
                        .total_bytes = options.repetitions,
                        .unit = "repetitions"});
  const ModelInfo& info = model->info();
  result.model_type = info.model_type;
  result.instruction_set = isa_name(active_isa());
  result.thread_count = engine.thread_count();
  result.precision = options.precision;
  result.prompt_tokens_per_second =
      *std::max_element(result.prompt_samples.begin(), result.prompt_samples.end());
  const auto best =
      std::max_element(result.generated_samples.begin(), result.generated_samples.end());
  result.generated_tokens_per_second = *best;
  result.read_bandwidth =
      reading[static_cast<std::size_t>(best - result.generated_samples.begin())];
  result.token_weight_bytes = info.token_weight_bytes;
  result.total_weight_bytes = info.total_weight_bytes;
  result.achieved_bandwidth =
      static_cast<double>(info.token_weight_bytes) * result.generated_tokens_per_second;
  return result;
}

}  // namespace helix
