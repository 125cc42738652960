#pragma once

#include <bit>
#include <cstdint>

namespace helix {

// The cube root of a non-negative, finite number to about ten digits. Made of single IEEE
// operations, so it is the same on every machine; libm's cbrt is not.
inline double cube_root(double x) {
  if (!(x > 0.0)) return 0.0;
  if (x < 0x1p-900) return 0x1p-300 * cube_root(x * 0x1p900);
  // A third of the exponent and mantissa together: within six percent.
  double root = std::bit_cast<double>(std::bit_cast<std::uint64_t>(x) / 3 + 0x2a9f7893782da1ceULL);
  for (int step = 0; step < 2; ++step) {  // Halley: the error's third power
    const double cube = root * root * root;
    root = root * ((cube + x + x) / (cube + cube + x));
  }
  return root;
}

}  // namespace helix
