#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace helix {

// Instruction sets the kernels are written for, slowest first. A build contains every one of its
// architecture and a process uses one, chosen at the first use.
enum class Isa : std::uint8_t {
  kScalar,      // what every machine of the architecture has
  kNeon,        // AArch64
  kAvx2,        // AVX2, FMA, F16C
  kAvx512,      // AVX-512 F, BW, DQ, VL
  kAvx512Vbmi,  // and VBMI, VNNI, BF16
  kAmx,         // and AMX tiles of bytes and of BF16, where the kernel grants them
};

// "scalar", "neon", "avx2", "avx512", "avx512_vbmi", "amx".
std::string_view isa_name(Isa isa) noexcept;

// Whether this build and this machine have `isa`. The first call with kAmx asks the operating
// system for the tiles; a refusal means no.
bool isa_available(Isa isa) noexcept;
std::vector<Isa> available_isas();

// The instruction set in use: the last one of available_isas(), or the one HELIX_FORCE_ISA named
// when it was first asked for. Throws Error(kInvalidArgument) for an unknown name and
// Error(kUnsupported) for one this machine lacks.
Isa active_isa();

// Uses `isa` instead while it lives: for tests and benchmarks. No kernel may run on another thread
// while it is made or destroyed. Matrices keep the instruction set they were prepared with.
class IsaOverride {
 public:
  explicit IsaOverride(Isa isa);
  ~IsaOverride();
  IsaOverride(const IsaOverride&) = delete;
  IsaOverride& operator=(const IsaOverride&) = delete;

 private:
  int previous_;
};

}  // namespace helix
