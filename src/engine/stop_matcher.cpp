#include "engine/stop_matcher.h"

#include <algorithm>
#include <utility>

#include "base/message.h"
#include "tokenizer/utf8.h"

namespace helix {

StopMatcher::StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {
  for (const std::string& stop : stops_) {
    if (stop.empty()) throw_error(ErrorCode::kInvalidArgument, "a stop text is empty");
    require_utf8(stop, "a stop text");
  }
}

// The longest end of the pending text that begins a stop text. It begins at a character, because
// stop texts and text are whole characters.
std::size_t StopMatcher::held_bytes() const {
  std::size_t held = 0;
  for (const std::string& stop : stops_) {
    for (std::size_t length = std::min(stop.size() - 1, pending_.size()); length > held; --length) {
      if (pending_.ends_with(std::string_view(stop).substr(0, length))) held = length;
    }
  }
  return held;
}

std::string StopMatcher::push(std::string_view piece) {
  if (stopped_) return {};
  pending_ += piece;
  // End and beginning of the stop text that is complete first, as if bytes came one by one.
  std::pair found(std::string::npos, std::string::npos);
  for (const std::string& stop : stops_) {
    const std::size_t at = pending_.find(stop);
    if (at != std::string::npos) found = std::min(found, {at + stop.size(), at});
  }
  stopped_ = found.second != std::string::npos;
  const std::size_t safe = stopped_ ? found.second : pending_.size() - held_bytes();
  std::string text = pending_.substr(0, safe);
  pending_.erase(0, stopped_ ? pending_.size() : safe);
  return text;
}

std::string StopMatcher::finish() { return std::exchange(pending_, {}); }

}  // namespace helix
