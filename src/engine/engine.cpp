#include "engine/engine.h"

#include <algorithm>

#include "base/message.h"

namespace helix {
namespace {

// Logits that are held at once while many rows are visited: 16 Mi floats.
constexpr std::size_t kMostLogits = std::size_t{1} << 24;

std::size_t checked_context(std::size_t wanted, const ModelInfo& info) {
  if (wanted > info.max_positions) {
    throw_error(ErrorCode::kInvalidArgument, "a context of ", wanted,
                " tokens is more than the model was made for, ", info.max_positions);
  }
  return wanted == 0 ? info.max_positions : wanted;
}

}  // namespace

std::size_t Sequence::keep_common(std::span<const std::int32_t> tokens) {
  const auto [mine, theirs] =
      std::mismatch(tokens_.begin(), tokens_.end(), tokens.begin(), tokens.end());
  auto kept = static_cast<std::size_t>(mine - tokens_.begin());
  if (kept > 0 && kept == tokens.size()) --kept;
  if (!state_->holds_for(tokens.size())) kept = 0;
  forget_from(kept);
  return length();
}

void Sequence::forget_from(std::size_t length) {
  if (length >= tokens_.size()) return;
  if (!state_->truncate(length)) {  // a state that knows no way back starts again
    state_->truncate(0);
    length = 0;
  }
  tokens_.resize(length);
}

Engine::Engine(std::shared_ptr<const CausalModel> model, const EngineOptions& options)
    : model_(std::move(model)),
      context_length_(checked_context(options.context_length, model_->info())),
      chunk_tokens_(std::max<std::size_t>(1, options.chunk_tokens)),
      pool_(options.thread_count == 0 ? hardware_threads() : options.thread_count) {}

Sequence Engine::new_sequence() const { return Sequence(model_->new_state(context_length_)); }

void Engine::check_room(const Sequence& sequence, std::size_t count) const {
  if (count <= sequence.capacity() - sequence.length()) return;
  throw_error(ErrorCode::kInvalidArgument, "context overflow: ", sequence.length() + count,
              " tokens, the context takes ", sequence.capacity());
}

void Engine::run(std::span<const Request> requests, const Hooks& hooks) {
  std::vector<SequenceStep> steps;
  std::size_t rows = 0;
  for (const Request& request : requests) {
    check_room(*request.sequence, request.tokens.size());
    for (const SequenceStep& step : steps) {
      if (step.state != request.sequence->state_.get()) continue;
      throw_error(ErrorCode::kInvalidArgument, "a sequence occurs twice in one step");
    }
    steps.push_back({.state = request.sequence->state_.get(),
                     .tokens = request.tokens,
                     .final_length = request.final_length});
    rows += request.tokens.size();
  }
  hidden_.resize(rows * info().hidden_size);
  model_->forward(steps, hidden_, pool_, hooks);
  for (const Request& request : requests) {
    auto& tokens = request.sequence->tokens_;
    tokens.insert(tokens.end(), request.tokens.begin(), request.tokens.end());
  }
}

std::span<const float> Engine::logits_of(std::size_t first_row, std::size_t rows) {
  logits_.resize(rows * info().vocabulary_size);
  model_->logits(std::span(hidden_).subspan(first_row * info().hidden_size), rows, logits_, pool_);
  return logits_;
}

std::span<const float> Engine::step(std::span<const Request> requests, const Hooks& hooks) {
  run(requests, hooks);
  // The wanted rows move together, so that one product gives all logits.
  const std::size_t width = info().hidden_size;
  std::size_t row = 0;
  std::size_t wanted = 0;
  for (const Request& request : requests) {
    const std::size_t end = row + request.tokens.size();
    if (request.wanted == Wanted::kNothing) row = end;
    if (request.wanted == Wanted::kLast) row = end - 1;
    for (; row < end; ++row, ++wanted) {
      std::copy_n(hidden_.begin() + static_cast<std::ptrdiff_t>(row * width), width,
                  hidden_.begin() + static_cast<std::ptrdiff_t>(wanted * width));
    }
  }
  return logits_of(0, wanted);
}

std::span<const float> Engine::append(Sequence& sequence, std::span<const std::int32_t> tokens,
                                      const Hooks& hooks) {
  std::span<const float> last;
  const auto keep_last = [&](std::size_t, std::span<const float> logits) { last = logits; };
  visit_logits(sequence, tokens, tokens.size() - 1, keep_last, hooks);
  return last;
}

void Engine::visit_logits(Sequence& sequence, std::span<const std::int32_t> tokens,
                          std::size_t first_row, const LogitsVisitor& visit, const Hooks& hooks,
                          std::size_t final_length) {
  if (tokens.empty()) throw_error(ErrorCode::kInvalidArgument, "no tokens to compute");
  check_room(sequence, tokens.size());
  const std::size_t before = sequence.length();
  const std::size_t block = std::max<std::size_t>(1, kMostLogits / info().vocabulary_size);
  try {
    for (std::size_t begin = 0; begin < tokens.size(); begin += chunk_tokens_) {
      hooks.check_cancelled();
      const std::size_t end = std::min(tokens.size(), begin + chunk_tokens_);
      const Request request = {.sequence = &sequence,
                               .tokens = tokens.subspan(begin, end - begin),
                               .final_length = std::max(final_length, before + tokens.size())};
      run(std::span(&request, 1), hooks);
      for (std::size_t row = std::max(begin, first_row); row < end; row += block) {
        visit(row, logits_of(row - begin, std::min(block, end - row)));
      }
    }
  } catch (...) {
    sequence.forget_from(before);
    throw;
  }
}

}  // namespace helix
