#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "helix/progress.h"
#include "models/causal_model.h"

namespace helix {

// One text as the model has read it so far. Made by Engine::new_sequence; move-only.
class Sequence {
 public:
  const std::vector<std::int32_t>& tokens() const { return tokens_; }
  std::size_t length() const { return tokens_.size(); }
  std::size_t capacity() const { return state_->capacity(); }
  std::uint64_t state_bytes() const { return state_->bytes(); }

  // Keeps what `tokens` begin with and forgets the rest, and the last of `tokens` in any case, so
  // that something is left to compute; everything where the model would remember a text of this
  // length differently. Returns how many tokens are kept.
  std::size_t keep_common(std::span<const std::int32_t> tokens);

 private:
  friend class Engine;
  explicit Sequence(std::unique_ptr<SequenceState> state) : state_(std::move(state)) {}
  void forget_from(std::size_t length);

  std::unique_ptr<SequenceState> state_;
  std::vector<std::int32_t> tokens_;
};

struct EngineOptions {
  std::size_t thread_count = 0;    // 0: one per processor
  std::size_t context_length = 0;  // 0: the model's; the most tokens of a sequence
  std::size_t chunk_tokens = 512;  // of a long prompt that are computed at once
};

// Runs a model over sequences. One caller at a time; several engines may share a model.
class Engine {
 public:
  // Throws Error(kInvalidArgument) for a context beyond what the model was made for.
  Engine(std::shared_ptr<const CausalModel> model, const EngineOptions& options);

  const ModelInfo& info() const { return model_->info(); }
  std::size_t context_length() const { return context_length_; }
  std::size_t thread_count() const { return pool_.thread_count(); }
  ThreadPool& pool() { return pool_; }

  Sequence new_sequence() const;

  enum class Wanted : std::uint8_t { kNothing, kLast, kAll };
  struct Request {
    Sequence* sequence = nullptr;
    std::span<const std::int32_t> tokens = {};  // that follow it, not empty
    Wanted wanted = Wanted::kLast;              // logits of the last token, or of every one
    std::size_t final_length = 0;               // see SequenceStep
  };
  // One step for many sequences at once, each occurring once: appends every request's tokens and
  // returns the wanted logits (rows, vocabulary), in the order of the requests, valid until the
  // next call. All or nothing: throws Error(kInvalidArgument) where a token is not in the
  // vocabulary, a context is too small or a sequence occurs twice, before anything changes.
  // kCancelled by `hooks`.
  std::span<const float> step(std::span<const Request> requests, const Hooks& hooks = {});

  // Appends `tokens` in chunks, looking at `hooks` for cancellation all the time, and returns the
  // logits of the last one. After an error (cancellation, too) the sequence is as before.
  std::span<const float> append(Sequence& sequence, std::span<const std::int32_t> tokens,
                                const Hooks& hooks = {});

  // Appends `tokens` as append() does and calls visit(row, logits) for the tokens from `first_row`
  // on, in order, a block of rows at a time: logits (rows, vocabulary), valid during the call.
  // `final_length`: see SequenceStep; 0: what the sequence has with these tokens.
  using LogitsVisitor = std::function<void(std::size_t row, std::span<const float> logits)>;
  void visit_logits(Sequence& sequence, std::span<const std::int32_t> tokens, std::size_t first_row,
                    const LogitsVisitor& visit, const Hooks& hooks = {},
                    std::size_t final_length = 0);

 private:
  void run(std::span<const Request> requests, const Hooks& hooks);
  void check_room(const Sequence& sequence, std::size_t count) const;
  std::span<const float> logits_of(std::size_t first_row, std::size_t rows);

  std::shared_ptr<const CausalModel> model_;
  std::size_t context_length_;
  std::size_t chunk_tokens_;
  ThreadPool pool_;
  std::vector<float> hidden_;  // (tokens of the last step, hidden_size)
  std::vector<float> logits_;
};

}  // namespace helix
