#include "engine/generate.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/message.h"
#include "engine/sampler.h"
#include "engine/stop_matcher.h"
#include "tokenizer/stream_decoder.h"

namespace helix {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Tokens to text to the caller: whole characters, nothing of a stop text.
class TextStream {
 public:
  TextStream(const Tokenizer* tokenizer, const GenerateRequest& request,
             const GenerateOptions& options, const TextCallback& on_text, std::string& text)
      : tokenizer_(tokenizer),
        options_(options),
        stops_(options.stop),
        on_text_(on_text),
        text_(text) {
    if (tokenizer == nullptr) return;
    const auto context =
        request.continues_prompt ? request.prompt : std::span<const std::int32_t>();
    decoder_.emplace(*tokenizer, options.skip_special_tokens, context);
  }

  void push(std::int32_t token) {
    if (!decoder_) return;
    emit(stops_.push(decoder_->push(token)));
    if (!stops_unseen(token)) return;
    finish();
    stopped_unseen_ = true;
  }
  void finish() {
    if (!decoder_) return;
    emit(stops_.push(decoder_->finish()));
    emit(stops_.finish());
  }
  bool stopped() const { return stops_.stopped() || stopped_unseen_; }
  bool refused() const { return refused_; }

 private:
  void emit(const std::string& piece) {
    if (piece.empty() || refused_) return;
    text_ += piece;
    if (on_text_ && !on_text_(piece)) refused_ = true;
  }

  // Whether `token` is a stop text that is left out of the text.
  bool stops_unseen(std::int32_t token) const {
    return options_.skip_special_tokens && tokenizer_->is_special(token) &&
           std::ranges::find(options_.stop, tokenizer_->id_to_token(token)) != options_.stop.end();
  }

  const Tokenizer* tokenizer_;
  const GenerateOptions& options_;
  std::optional<StreamDecoder> decoder_;
  StopMatcher stops_;
  const TextCallback& on_text_;
  std::string& text_;
  bool refused_ = false;
  bool stopped_unseen_ = false;
};

void check_prompt(std::span<const std::int32_t> prompt, const Sequence& sequence) {
  if (prompt.empty()) throw_error(ErrorCode::kInvalidArgument, "the prompt is empty");
  if (prompt.size() >= sequence.capacity()) {
    throw_error(ErrorCode::kInvalidArgument, "context overflow: the prompt has ", prompt.size(),
                " tokens, the context takes ", sequence.capacity(), " with the answer");
  }
}

bool contains(const std::vector<std::int32_t>& tokens, std::int32_t token) {
  return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
}

// Why generation ends after `token`, if it does.
std::optional<FinishReason> finish_after(std::int32_t token, const Generation& generation,
                                         const TextStream& text, const GenerateRequest& request,
                                         const GenerateOptions& options, std::size_t capacity) {
  if (!options.ignore_end_tokens && contains(request.end_tokens, token)) {
    return FinishReason::kEndToken;
  }
  if (text.stopped()) return FinishReason::kStopText;
  if (text.refused()) return FinishReason::kCaller;
  if (generation.tokens.size() == options.max_tokens) return FinishReason::kMaxTokens;
  if (request.prompt.size() + generation.tokens.size() >= capacity) {
    return FinishReason::kContextEnd;
  }
  return std::nullopt;
}

}  // namespace

const char* finish_reason_name(FinishReason reason) noexcept {
  switch (reason) {
    case FinishReason::kEndToken: return "end";
    case FinishReason::kStopText: return "stop";
    case FinishReason::kMaxTokens: return "length";
    case FinishReason::kContextEnd: return "context";
    case FinishReason::kCaller: return "caller";
  }
  return "";
}

Generation generate(Engine& engine, Sequence& sequence, const Tokenizer* tokenizer,
                    const GenerateRequest& request, const GenerateOptions& options,
                    const TextCallback& on_text) {
  check_prompt(request.prompt, sequence);
  Sampler sampler(options.sampling);
  Generation generation;
  TextStream text(tokenizer, request, options, on_text, generation.text);
  const auto start = Clock::now();
  generation.prompt_tokens = request.prompt.size();
  generation.reused_tokens = sequence.keep_common(request.prompt);
  std::span<const float> logits =
      engine.append(sequence, request.prompt.subspan(generation.reused_tokens), options.hooks);
  // Only now: the engine has refused ids that the vocabulary does not have.
  for (const std::int32_t token : request.prompt) sampler.see_prompt(token);
  for (;;) {
    const std::int32_t token = sampler.choose(logits);
    if (generation.tokens.empty()) generation.prompt_seconds = seconds_since(start);
    sampler.see_answer(token);
    generation.tokens.push_back(token);
    text.push(token);
    const auto reason =
        finish_after(token, generation, text, request, options, sequence.capacity());
    if (reason) {
      generation.finish = *reason;
      break;
    }
    logits = engine.append(sequence, std::span(&token, 1), options.hooks);
  }
  generation.generate_seconds = seconds_since(start) - generation.prompt_seconds;
  if (!text.stopped()) text.finish();
  if (text.stopped() && generation.finish != FinishReason::kEndToken) {
    generation.finish = FinishReason::kStopText;
  }
  return generation;
}

}  // namespace helix
