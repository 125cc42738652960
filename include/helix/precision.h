#pragma once

#include <cstdint>

namespace helix {

// How exactly a matrix product is formed. Relative errors are ||y - y64|| / ||y64|| against the F64
// product of the decoded matrix.
enum class Precision : std::uint8_t {
  kF32,   // F32 tables, inputs and sums: at most 1e-5
  kBf16,  // at least as exact as BF16 operands with F32 sums, and faster: at most 2e-3
};

}  // namespace helix
