#include "eval/evaluate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/message.h"
#include "eval/token_scores.h"
#include "eval/windows.h"

namespace helix {
namespace {

constexpr std::size_t kUsualWindow = 2048;
constexpr std::size_t kMostLogits = std::size_t{1} << 24;  // of a chunk, for each of two models

// All scored tokens, in order.
struct Scores {
  std::vector<double> losses;
  std::vector<double> reference_losses;
  std::vector<double> divergences;
  std::uint64_t same_top = 0;
};

class Evaluator {
 public:
  Evaluator(Engine& engine, Engine* reference, const ScoredText& text, const Hooks& hooks)
      : engine_(engine),
        reference_(reference),
        text_(text),
        hooks_(hooks),
        total_(text.scored_tokens()) {}

  Scores run() {
    report();
    for (const Window& window : text_.windows) {
      if (reference_ == nullptr) {
        score(window);
      } else {
        compare(window);
      }
    }
    return std::move(scores_);
  }

 private:
  void report() const {
    hooks_.report({.stage = "evaluate",
                   .item = {},
                   .done_bytes = scores_.losses.size(),
                   .total_bytes = total_,
                   .unit = "tokens"});
  }

  std::span<const std::int32_t> tokens_of(const Window& window) const {
    return std::span(text_.tokens).subspan(window.begin, window.end - window.begin);
  }

  // Logits of row i predict token i + 1; the last row predicts nothing.
  void score(const Window& window) {
    const std::span<const std::int32_t> tokens = tokens_of(window);
    Sequence sequence = engine_.new_sequence();
    const std::size_t width = engine_.info().vocabulary_size;
    engine_.visit_logits(
        sequence, tokens, window.first_scored - 1,
        [&](std::size_t row, std::span<const float> logits) {
          const std::size_t rows = std::min(logits.size() / width, tokens.size() - 1 - row);
          const std::size_t first = scores_.losses.size();
          scores_.losses.resize(first + rows);
          engine_.pool().run(rows, [&](std::size_t i) {
            scores_.losses[first + i] =
                checked(token_loss(logits.subspan(i * width, width), tokens[row + i + 1]), "model");
          });
          report();
        },
        hooks_);
  }

  // Chunk by chunk, so that the logits of both models for a chunk are there at the same time.
  void compare(const Window& window) {
    const std::span<const std::int32_t> tokens = tokens_of(window);
    const std::size_t width = engine_.info().vocabulary_size;
    const std::size_t chunk = std::clamp<std::size_t>(kMostLogits / width, 16, 512);
    Sequence sequence = engine_.new_sequence();
    Sequence reference_sequence = reference_->new_sequence();
    std::vector<float> expected;
    for (std::size_t begin = 0; begin < tokens.size(); begin += chunk) {
      const auto part = tokens.subspan(begin, std::min(chunk, tokens.size() - begin));
      const std::size_t scored = window.first_scored - 1;
      const std::size_t first_row = scored > begin ? scored - begin : 0;
      expected.clear();
      reference_->visit_logits(
          reference_sequence, part, first_row,
          [&](std::size_t, std::span<const float> logits) {
            expected.insert(expected.end(), logits.begin(), logits.end());
          },
          hooks_, tokens.size());
      std::span<const float> left = expected;
      engine_.visit_logits(
          sequence, part, first_row,
          [&](std::size_t row, std::span<const float> logits) {
            compare_rows(logits, left.first(logits.size()), tokens.subspan(begin + row + 1));
            left = left.subspan(logits.size());
          },
          hooks_, tokens.size());
    }
  }

  // `next` are the tokens that the rows predict; there may be one less than rows.
  void compare_rows(std::span<const float> logits, std::span<const float> expected,
                    std::span<const std::int32_t> next) {
    const std::size_t width = engine_.info().vocabulary_size;
    const std::size_t rows = std::min(logits.size() / width, next.size());
    std::vector<TokenComparison> results(rows);
    engine_.pool().run(rows, [&](std::size_t i) {
      results[i] = compare_predictions(logits.subspan(i * width, width),
                                       expected.subspan(i * width, width), next[i]);
    });
    for (const TokenComparison& result : results) {
      scores_.losses.push_back(checked(result.loss, "model"));
      scores_.reference_losses.push_back(checked(result.reference_loss, "reference model"));
      scores_.divergences.push_back(result.divergence);
      scores_.same_top += result.same_top ? 1 : 0;
    }
    report();
  }

  static double checked(double loss, const char* model) {
    if (std::isfinite(loss)) return loss;
    throw_error(ErrorCode::kCorruptData, "the ", model,
                "'s logits are not numbers: its weights make no sense");
  }

  Engine& engine_;
  Engine* reference_;
  const ScoredText& text_;
  const Hooks& hooks_;
  std::uint64_t total_;
  Scores scores_;
};

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double standard_error(const std::vector<double>& values, double average) {
  double squares = 0.0;
  for (const double value : values) squares += (value - average) * (value - average);
  const auto count = static_cast<double>(values.size());
  return std::sqrt(squares / std::max(1.0, count - 1.0) / count);
}

// The smallest value that at least 99 % of the values do not exceed.
double percentile_99(std::vector<double> values) {
  const std::size_t rank = (values.size() * 99 + 99) / 100;
  const auto nth = values.begin() + static_cast<std::ptrdiff_t>(rank - 1);
  std::nth_element(values.begin(), nth, values.end());
  return *nth;
}

Comparison summarise(const Scores& scores, double perplexity) {
  Comparison comparison;
  comparison.reference_perplexity = std::exp(mean(scores.reference_losses));
  comparison.delta_percent = (perplexity / comparison.reference_perplexity - 1.0) * 100.0;
  comparison.mean_divergence = mean(scores.divergences);
  comparison.divergence_error = standard_error(scores.divergences, comparison.mean_divergence);
  comparison.divergence_p99 = percentile_99(scores.divergences);
  comparison.same_top_share =
      static_cast<double>(scores.same_top) / static_cast<double>(scores.losses.size());
  return comparison;
}

// Sizes that were left open.
EvaluateOptions completed(EvaluateOptions options, const Engine& engine, const Engine* reference) {
  std::size_t context = engine.context_length();
  if (reference != nullptr) context = std::min(context, reference->context_length());
  if (options.window == 0) {
    const bool documents = options.protocol == EvaluationProtocol::kDocuments;
    options.window = documents ? context : std::min(kUsualWindow, context);
  }
  if (options.stride == 0) options.stride = std::max<std::size_t>(1, options.window / 4);
  if (options.window > context) {
    throw_error(ErrorCode::kInvalidArgument, "a window of ", options.window,
                " tokens does not fit in the context of ", context);
  }
  return options;
}

}  // namespace

Evaluation evaluate(Engine& engine, Engine* reference, const Tokenizer& tokenizer,
                    std::string_view text, const EvaluateOptions& given) {
  const std::size_t vocabulary = engine.info().vocabulary_size;
  if (reference != nullptr && reference->info().vocabulary_size != vocabulary) {
    throw_error(ErrorCode::kInvalidArgument, "vocabularies of ", vocabulary, " and ",
                reference->info().vocabulary_size, " tokens cannot be compared");
  }
  const EvaluateOptions options = completed(given, engine, reference);
  const auto start = std::chrono::steady_clock::now();
  const ScoredText plan = plan_evaluation(text, tokenizer, options);
  for (const std::int32_t token : plan.tokens) {  // those that are predicted are never read
    if (token >= 0 && static_cast<std::size_t>(token) < vocabulary) continue;
    throw_error(ErrorCode::kCorruptData, "the tokenizer makes token ", token,
                " of the text, the model's vocabulary has ", vocabulary, " tokens");
  }
  const Scores scores = Evaluator(engine, reference, plan, options.hooks).run();
  Evaluation result;
  result.protocol = options.protocol;
  result.window = options.window;
  result.stride = options.protocol == EvaluationProtocol::kCard ? options.stride : options.window;
  result.text_tokens = plan.tokens.size();
  result.scored_tokens = scores.losses.size();
  result.computed_tokens = plan.computed_tokens();
  result.window_count = plan.windows.size();
  result.mean_loss = mean(scores.losses);
  result.perplexity = std::exp(result.mean_loss);
  if (reference != nullptr) result.comparison = summarise(scores, result.perplexity);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace helix
