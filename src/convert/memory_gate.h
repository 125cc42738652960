#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace helix {

// Bounds the memory of concurrent tasks: a task waits until its bytes fit, or until it would be
// alone.
class MemoryGate {
 public:
  explicit MemoryGate(std::uint64_t budget) : budget_(budget) {}

  class Pass {
   public:
    Pass(MemoryGate& gate, std::uint64_t bytes) : gate_(gate), bytes_(bytes) {
      std::unique_lock lock(gate_.mutex_);
      gate_.freed_.wait(lock,
                        [&] { return gate_.used_ == 0 || gate_.used_ + bytes_ <= gate_.budget_; });
      gate_.used_ += bytes_;
    }
    ~Pass() {
      {
        const std::lock_guard lock(gate_.mutex_);
        gate_.used_ -= bytes_;
      }
      gate_.freed_.notify_all();
    }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;

   private:
    MemoryGate& gate_;
    std::uint64_t bytes_;
  };

 private:
  std::mutex mutex_;
  std::condition_variable freed_;
  std::uint64_t budget_;
  std::uint64_t used_ = 0;
};

}  // namespace helix
