#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string_view>

namespace helix {

struct ProgressEvent {
  std::string_view stage;  // "compress", "hash", ...
  std::string_view item;   // the tensor or file just finished
  std::uint64_t done_bytes = 0;
  std::uint64_t total_bytes = 0;
  std::string_view unit = {};  // what the two count where it is not bytes: "tokens"
};

enum class LogLevel : std::uint8_t { kInfo, kWarning };

// Set from any thread or from a signal handler; long work looks at it often and stops with
// ErrorCode::kCancelled.
class CancelToken {
 public:
  void cancel() noexcept { flag_.store(true, std::memory_order_relaxed); }
  bool cancelled() const noexcept { return flag_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> flag_{false};
};

// How long work talks to its caller. Every member may be empty. The functions are called from one
// thread at a time, though not always from the same one; what they throw ends the work.
struct Hooks {
  std::function<void(const ProgressEvent&)> progress;
  std::function<void(LogLevel, std::string_view)> log;
  const CancelToken* cancel = nullptr;  // borrowed for the duration of the call

  void report(const ProgressEvent& event) const {
    if (progress) progress(event);
  }
  void warn(std::string_view message) const {
    if (log) log(LogLevel::kWarning, message);
  }
  void info(std::string_view message) const {
    if (log) log(LogLevel::kInfo, message);
  }
  // Throws Error(kCancelled) once cancellation was asked for.
  void check_cancelled() const;
};

}  // namespace helix
