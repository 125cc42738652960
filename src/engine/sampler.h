#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "helix/generation.h"

namespace helix {

// Chooses tokens for one sequence. Not thread-safe.
class Sampler {
 public:
  // Throws Error(kInvalidArgument) naming the option that is out of range.
  explicit Sampler(const SamplingOptions& options);

  // A token of the prompt, or one that was chosen: the penalties remember it.
  void see_prompt(std::int32_t token) { remember(token, false); }
  void see_answer(std::int32_t token) { remember(token, true); }

  // The next token. Throws Error(kCorruptData) where a logit is not a number: the weights or the
  // input have made nonsense, and no token would mean anything.
  std::int32_t choose(std::span<const float> logits);

 private:
  struct Candidate {
    double weight;  // its probability over that of the most likely token
    std::int32_t token;
  };

  void remember(std::int32_t token, bool answer);
  void apply_penalties(std::span<const float> logits);
  void keep_most_likely(std::size_t count);
  void keep_probable(double share);
  std::int32_t draw();
  static bool likelier(const Candidate& a, const Candidate& b);

  SamplingOptions options_;
  std::mt19937_64 generator_;
  std::vector<std::uint8_t> seen_;  // by token: kSeenPrompt, kSeenAnswer
  std::vector<float> penalized_;    // (vocabulary)
  std::vector<Candidate> candidates_;
};

// The most likely token, the lowest id of equals. Throws like Sampler::choose.
std::int32_t most_likely(std::span<const float> logits);

}  // namespace helix
