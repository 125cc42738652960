#pragma once

#include <cstdint>

namespace helix {

// How exactly a matrix product is formed. Relative errors are ||y - y64|| / ||y64|| against the F64
// product of the decoded matrix.
enum class Precision : std::uint8_t {
  kF32,  // F32 tables, inputs and sums: at most 1e-5
  // Faster, and on weights and activations as they are more exact than BF16 operands with F32
  // sums: at most 2e-3. Errors are shares of the largest numbers of a matrix and of 64 to 1,024
  // numbers of x: where single x are hundreds of times larger than their neighbours and meet
  // weights hundreds of times smaller than theirs (column scales make them alike), that is more.
  kBf16,
};

// "f32" or "bf16", as commands and receipts spell it.
constexpr const char* precision_name(Precision precision) noexcept {
  return precision == Precision::kF32 ? "f32" : "bf16";
}

}  // namespace helix
