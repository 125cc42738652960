#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace helix {

// Finds stop texts in a stream of text, wherever its pieces are cut: the one that is complete first
// counts, of those that end together the longest. Text that may still become a stop text is held
// back.
class StopMatcher {
 public:
  // Throws Error(kInvalidArgument) for an empty stop text.
  explicit StopMatcher(std::vector<std::string> stops);

  // The text that is safe to show after `piece`; empty from the stop text on.
  std::string push(std::string_view piece);
  // What is still held back, at the end of the stream.
  std::string finish();
  bool stopped() const { return stopped_; }

 private:
  std::size_t held_bytes() const;

  std::vector<std::string> stops_;
  std::string pending_;
  bool stopped_ = false;
};

}  // namespace helix
