#pragma once

#include <cstdint>

namespace helix {

// The most bytes of this process that were resident at a time; mapped files count while they are.
std::uint64_t peak_memory() noexcept;

}  // namespace helix
