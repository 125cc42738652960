#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "helix/progress.h"

namespace helix {

// What a model remembers of one sequence: keys and values, or the state of a recurrence. Made by
// the model that it is for; one forward() at a time may use it.
class SequenceState {
 public:
  virtual ~SequenceState() = default;
  virtual std::size_t length() const = 0;    // tokens
  virtual std::size_t capacity() const = 0;  // the most tokens it takes
  // Forgets all but the first `length` tokens; false, and nothing done, where this kind of state
  // cannot go back that far.
  virtual bool truncate(std::size_t length) = 0;
  // Whether what is remembered is also what a sequence of `final_length` tokens would begin with;
  // not so beyond the trained length where RoPE depends on the length.
  virtual bool holds_for(std::size_t final_length) const = 0;
  virtual std::uint64_t bytes() const = 0;
};

// Some tokens that follow a sequence.
struct SequenceStep {
  SequenceState* state = nullptr;
  std::span<const std::int32_t> tokens = {};  // not empty; they fit the state's capacity
  // How long the sequence will be once all of its prompt is there, where that is known: a RoPE that
  // depends on the length then treats a prompt in chunks like one in a piece. 0: these tokens.
  std::size_t final_length = 0;
};

struct ModelInfo {
  std::string model_type;
  std::size_t vocabulary_size = 0;
  std::size_t hidden_size = 0;
  std::size_t max_positions = 0;
  std::vector<std::int32_t> end_tokens;
  std::uint64_t token_weight_bytes = 0;  // weights that one generated token reads
  std::uint64_t total_weight_bytes = 0;
};

// A language model that predicts the next token. Immutable: several threads may use it, each with
// its own states and thread pool.
class CausalModel {
 public:
  virtual ~CausalModel() = default;

  virtual const ModelInfo& info() const = 0;
  virtual std::unique_ptr<SequenceState> new_state(std::size_t capacity) const = 0;

  // Runs the tokens of all steps, each state occurring once, and appends them to the states.
  // `hidden` (all tokens, hidden_size) receives what the output head reads. Throws
  // Error(kInvalidArgument) for a token outside the vocabulary or more tokens than a state takes,
  // before anything is changed. Looks at `hooks` for cancellation before every layer; the states
  // are then as before.
  virtual void forward(std::span<const SequenceStep> steps, std::span<float> hidden,
                       ThreadPool& pool, const Hooks& hooks) const = 0;
  // Logits (rows, vocabulary) of rows of `hidden`.
  virtual void logits(std::span<const float> hidden, std::size_t rows, std::span<float> out,
                      ThreadPool& pool) const = 0;
};

}  // namespace helix
