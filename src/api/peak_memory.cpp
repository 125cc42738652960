#include "api/peak_memory.h"

#include <sys/resource.h>

namespace helix {

std::uint64_t peak_memory() noexcept {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace helix
