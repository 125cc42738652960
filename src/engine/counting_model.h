#pragma once

#include <vector>

#include "base/message.h"
#include "models/causal_model.h"

namespace helix {

// For tests: predicts the token after the last one (modulo the vocabulary), and the more sharply
// the longer the sequence is, so that logits tell what the state holds.
class CountingModel final : public CausalModel {
 public:
  class State final : public SequenceState {
   public:
    explicit State(std::size_t capacity) : capacity_(capacity) {}
    std::size_t length() const override { return tokens.size(); }
    std::size_t capacity() const override { return capacity_; }
    bool truncate(std::size_t length) override {
      if (length < tokens.size()) tokens.resize(length);
      return true;
    }
    bool holds_for(std::size_t) const override { return true; }
    std::uint64_t bytes() const override { return tokens.size() * 4; }
    std::vector<std::int32_t> tokens;

   private:
    std::size_t capacity_;
  };

  explicit CountingModel(std::size_t vocabulary, std::size_t positions = 64) {
    info_.model_type = "counting";
    info_.vocabulary_size = vocabulary;
    info_.hidden_size = 2;
    info_.max_positions = positions;
  }

  const ModelInfo& info() const override { return info_; }
  std::unique_ptr<SequenceState> new_state(std::size_t capacity) const override {
    return std::make_unique<State>(capacity);
  }
  void forward(std::span<const SequenceStep> steps, std::span<float> hidden, ThreadPool&,
               const Hooks&) const override {
    ++calls;
    std::size_t row = 0;
    for (const SequenceStep& step : steps) {
      auto& state = static_cast<State&>(*step.state);
      for (const std::int32_t token : step.tokens) {
        if (static_cast<std::size_t>(token) >= info_.vocabulary_size) {
          throw_error(ErrorCode::kInvalidArgument, "token ", token);
        }
        state.tokens.push_back(token);
        hidden[row * 2] = static_cast<float>(token);
        hidden[row * 2 + 1] = static_cast<float>(state.tokens.size());
        ++row;
      }
    }
  }
  void logits(std::span<const float> hidden, std::size_t rows, std::span<float> out,
              ThreadPool&) const override {
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t i = 0; i < info_.vocabulary_size; ++i) {
        const bool next =
            i == (static_cast<std::size_t>(hidden[row * 2]) + 1) % info_.vocabulary_size;
        out[row * info_.vocabulary_size + i] = next ? hidden[row * 2 + 1] : 0.0F;
      }
    }
  }

  mutable int calls = 0;

 private:
  ModelInfo info_;
};

}  // namespace helix
