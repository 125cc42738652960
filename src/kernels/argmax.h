#pragma once

#include <cstddef>
#include <span>

namespace helix {

// The lowest index of the largest number; NaN is never the largest. Throws Error(kInvalidArgument)
// for an empty x, Error(kCorruptData) where every number is NaN.
std::size_t argmax(std::span<const float> x);

}  // namespace helix
