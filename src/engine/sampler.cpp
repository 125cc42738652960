#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/message.h"

namespace helix {
namespace {

constexpr std::uint8_t kSeenPrompt = 1;
constexpr std::uint8_t kSeenAnswer = 2;

void require(bool valid, const char* name, double value, const char* expected) {
  if (valid) return;
  throw_error(ErrorCode::kInvalidArgument, name, " is ", value, ", expected ", expected);
}

void check(const SamplingOptions& options) {
  require(options.temperature >= 0.0 && std::isfinite(options.temperature), "temperature",
          options.temperature, "0 or more");
  require(options.top_p > 0.0 && options.top_p <= 1.0, "top_p", options.top_p,
          "more than 0, at most 1");
  require(options.min_p >= 0.0 && options.min_p <= 1.0, "min_p", options.min_p, "0 to 1");
  // Logits are F32, and so is what is taken off them.
  const auto repetition = static_cast<float>(options.repetition_penalty);
  require(repetition > 0.0F && std::isfinite(repetition), "repetition_penalty",
          options.repetition_penalty, "more than 0, within F32");
  require(std::isfinite(static_cast<float>(options.presence_penalty)), "presence_penalty",
          options.presence_penalty, "a number within F32");
}

}  // namespace

std::int32_t most_likely(std::span<const float> logits) {
  std::size_t best = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i])) {
      throw_error(ErrorCode::kCorruptData, "the logit of token ", i,
                  " is not a number: the model's weights make no sense");
    }
    if (logits[i] > logits[best]) best = i;
  }
  if (std::isinf(logits[best])) {
    throw_error(ErrorCode::kCorruptData, "the logit of token ", best, " is ", logits[best],
                ", the largest of all: the model's weights make no sense");
  }
  return static_cast<std::int32_t>(best);
}

Sampler::Sampler(const SamplingOptions& options) : options_(options), generator_(options.seed) {
  check(options);
}

void Sampler::remember(std::int32_t token, bool answer) {
  if (options_.repetition_penalty == 1.0 && options_.presence_penalty == 0.0) return;
  const auto index = static_cast<std::size_t>(token);
  if (index >= seen_.size()) seen_.resize(index + 1);
  seen_[index] |= answer ? kSeenAnswer : kSeenPrompt;
}

std::int32_t Sampler::choose(std::span<const float> logits) {
  if (!seen_.empty()) {
    apply_penalties(logits);
    logits = penalized_;
  }
  const std::int32_t best = most_likely(logits);
  if (options_.temperature == 0.0) return best;
  const double top = logits[static_cast<std::size_t>(best)];
  candidates_.clear();
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double weight = std::exp((logits[i] - top) / options_.temperature);
    candidates_.push_back({weight, static_cast<std::int32_t>(i)});
  }
  if (options_.top_k > 0) keep_most_likely(options_.top_k);
  if (options_.top_p < 1.0) keep_probable(options_.top_p);
  std::erase_if(candidates_,
                [&](const Candidate& candidate) { return candidate.weight < options_.min_p; });
  return draw();
}

void Sampler::apply_penalties(std::span<const float> logits) {
  penalized_.assign(logits.begin(), logits.end());
  const auto penalty = static_cast<float>(options_.repetition_penalty);
  for (std::size_t i = 0; i < std::min(seen_.size(), penalized_.size()); ++i) {
    float& logit = penalized_[i];
    if (seen_[i] == 0 || !std::isfinite(logit)) continue;
    logit = logit < 0.0F ? logit * penalty : logit / penalty;
    if ((seen_[i] & kSeenAnswer) != 0) logit -= static_cast<float>(options_.presence_penalty);
    constexpr float kMost = std::numeric_limits<float>::max();
    logit = std::clamp(logit, -kMost, kMost);  // only what the model gives may be infinite
  }
}

bool Sampler::likelier(const Candidate& a, const Candidate& b) {
  return a.weight != b.weight ? a.weight > b.weight : a.token < b.token;
}

void Sampler::keep_most_likely(std::size_t count) {
  if (count >= candidates_.size()) return;
  std::nth_element(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(count),
                   candidates_.end(), likelier);
  candidates_.resize(count);
}

void Sampler::keep_probable(double share) {
  double total = 0.0;
  for (const Candidate& candidate : candidates_) total += candidate.weight;
  // A heap, because usually a few of very many are enough.
  const auto less_likely = [](const Candidate& a, const Candidate& b) { return likelier(b, a); };
  std::make_heap(candidates_.begin(), candidates_.end(), less_likely);
  auto end = candidates_.end();
  double sum = 0.0;
  while (end != candidates_.begin() && sum < share * total) {
    std::pop_heap(candidates_.begin(), end, less_likely);
    sum += (--end)->weight;
  }
  candidates_.erase(candidates_.begin(), end);
}

std::int32_t Sampler::draw() {
  // In the order of the ids, whatever order the steps before have left.
  std::sort(candidates_.begin(), candidates_.end(),
            [](const Candidate& a, const Candidate& b) { return a.token < b.token; });
  double total = 0.0;
  for (const Candidate& candidate : candidates_) total += candidate.weight;
  // 53 random bits: std::uniform_real_distribution differs between standard libraries.
  double left = static_cast<double>(generator_() >> 11) * 0x1.0p-53 * total;
  for (const Candidate& candidate : candidates_) {
    if (left < candidate.weight) return candidate.token;
    left -= candidate.weight;
  }
  return candidates_.back().token;
}

}  // namespace helix
