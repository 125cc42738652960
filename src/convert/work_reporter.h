#pragma once

#include <mutex>
#include <string_view>

#include "helix/progress.h"

namespace helix {

// Serialises the hooks of several worker threads and adds up the bytes of one stage. Borrows the
// hooks.
class WorkReporter {
 public:
  WorkReporter(const Hooks& hooks, std::string_view stage, std::uint64_t total_bytes)
      : hooks_(hooks), stage_(stage), total_(total_bytes) {}

  // Adds finished bytes; throws Error(kCancelled) where cancellation was asked for.
  void add(std::string_view item, std::uint64_t bytes) {
    hooks_.check_cancelled();
    const std::lock_guard lock(mutex_);
    done_ += bytes;
    hooks_.report({stage_, item, done_, total_});
  }
  void warn(std::string_view message) {
    const std::lock_guard lock(mutex_);
    hooks_.warn(message);
  }

 private:
  const Hooks& hooks_;
  std::string_view stage_;
  std::uint64_t total_;
  std::uint64_t done_ = 0;
  std::mutex mutex_;
};

}  // namespace helix
