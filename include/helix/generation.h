#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "helix/progress.h"

namespace helix {

// How the next token is chosen from the logits. The steps come in this order: penalties,
// temperature, top-k, top-p, min-p, draw. The same logits, options and seed give the same tokens on
// every machine.
struct SamplingOptions {
  double temperature = 0.0;         // 0: the most likely token after the penalties
  std::size_t top_k = 0;            // only the k most likely; 0: all
  double top_p = 1.0;               // the fewest tokens that together have this probability
  double min_p = 0.0;               // only tokens at least this likely, relative to the likeliest
  double repetition_penalty = 1.0;  // logits of tokens of prompt and answer are divided by it
                                    // (multiplied where negative), as in the CTRL paper
  double presence_penalty = 0.0;    // taken off the logits of tokens of the answer
  std::uint64_t seed = 0;
};

enum class FinishReason : std::uint8_t {
  kEndToken,    // the model ended its answer
  kStopText,    // one of the stop texts came
  kMaxTokens,   // as many tokens as asked for
  kContextEnd,  // the context is full
  kCaller,      // the callback asked for it
};
// "end", "stop", "length", "context", "caller".
const char* finish_reason_name(FinishReason reason) noexcept;

struct GenerateOptions {
  std::size_t max_tokens = 0;  // 0: until the context is full
  SamplingOptions sampling = {};
  // Generation ends where one of these comes, also across tokens; neither it nor what follows is
  // part of the text. A special token that is left out of the text ends it where its name is one
  // of these.
  std::vector<std::string> stop = {};
  bool ignore_end_tokens = false;   // go on behind the model's end of text
  bool skip_special_tokens = true;  // leave them out of the text
  Hooks hooks = {};                 // cancellation, looked at before every chunk and every token
};

struct Generation {
  std::vector<std::int32_t> tokens;  // the end token included
  std::string text;
  FinishReason finish = FinishReason::kMaxTokens;
  std::size_t prompt_tokens = 0;
  std::size_t reused_tokens = 0;  // of the prompt, that were in the cache already
  double prompt_seconds = 0.0;    // to the first token
  double generate_seconds = 0.0;  // for all tokens after the first
};

// Called with every piece of text as it becomes final: whole UTF-8 characters, never empty, never
// part of a stop text. Returning false ends generation (FinishReason::kCaller).
using TextCallback = std::function<bool(std::string_view text)>;

}  // namespace helix
