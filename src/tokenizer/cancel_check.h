#pragma once

#include <cstddef>

#include "helix/progress.h"

namespace helix {

// Looks at a caller's hooks once in a while: cheap enough for every step of a long loop. `hooks`
// must outlive it.
class CancelCheck {
 public:
  explicit CancelCheck(const Hooks& hooks) : hooks_(hooks) {}

  // A step is one look into a table or so, well under a microsecond. Throws Error(kCancelled).
  void step(std::size_t count = 1) {
    steps_ += count;
    if (steps_ < kStepsPerLook) return;
    steps_ = 0;
    hooks_.check_cancelled();
  }

 private:
  static constexpr std::size_t kStepsPerLook = 4096;

  const Hooks& hooks_;
  std::size_t steps_ = 0;
};

}  // namespace helix
