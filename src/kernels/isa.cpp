#include "kernels/isa.h"

#include <atomic>
#include <cstdlib>
#include <string>

#include "base/message.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace helix {
namespace {

constexpr Isa kAll[] = {Isa::kScalar, Isa::kNeon,       Isa::kAvx2,
                        Isa::kAvx512, Isa::kAvx512Vbmi, Isa::kAmx};

#if defined(__x86_64__)

// True where `bit` of a register of CPUID leaf `leaf` is set: 2 = ECX, 3 = EDX.
bool cpuid_bit(unsigned leaf, int reg, unsigned bit) noexcept {
  unsigned registers[4] = {};
  if (__get_cpuid_count(leaf, 0, registers, registers + 1, registers + 2, registers + 3) == 0) {
    return false;
  }
  return ((registers[reg] >> bit) & 1U) != 0;
}

bool has_avx2() noexcept {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && cpuid_bit(1, 2, 29);
}

bool has_avx512() noexcept {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

bool has_vbmi() noexcept {
  return has_avx512() && __builtin_cpu_supports("avx512vbmi") &&
         __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16");
}

// Linux hands out the tile registers on request only, for the whole process.
bool request_tiles() noexcept {
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;               // XFEATURE_XTILEDATA
  return ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

bool has_amx() noexcept {
  static const bool granted = has_vbmi() && cpuid_bit(7, 3, 22) && cpuid_bit(7, 3, 24) &&
                              cpuid_bit(7, 3, 25) && request_tiles();
  return granted;
}

bool detect(Isa isa) noexcept {
  switch (isa) {
    case Isa::kScalar: return true;
    case Isa::kNeon: return false;
    case Isa::kAvx2: return has_avx2();
    case Isa::kAvx512: return has_avx512();
    case Isa::kAvx512Vbmi: return has_vbmi();
    case Isa::kAmx: return has_amx();
  }
  return false;
}

#elif defined(__aarch64__)

bool detect(Isa isa) noexcept { return isa == Isa::kScalar || isa == Isa::kNeon; }

#else

bool detect(Isa isa) noexcept { return isa == Isa::kScalar; }

#endif

std::string names_of(const std::vector<Isa>& isas) {
  std::string names;
  for (const Isa isa : isas) {
    if (!names.empty()) names += ", ";
    names += isa_name(isa);
  }
  return names;
}

Isa forced_isa(std::string_view name) {
  for (const Isa isa : kAll) {
    if (isa_name(isa) != name) continue;
    if (isa_available(isa)) return isa;
    throw_error(ErrorCode::kUnsupported, "HELIX_FORCE_ISA=", name,
                ": this machine does not have it; it has ", names_of(available_isas()));
  }
  throw_error(ErrorCode::kInvalidArgument, "HELIX_FORCE_ISA=", name, ": no such instruction set; ",
              "expected one of ", names_of({std::begin(kAll), std::end(kAll)}));
}

Isa choose() {
  const char* forced = std::getenv("HELIX_FORCE_ISA");
  if (forced != nullptr && *forced != '\0') return forced_isa(forced);
  return available_isas().back();
}

std::atomic<int> overriding{-1};

}  // namespace

std::string_view isa_name(Isa isa) noexcept {
  switch (isa) {
    case Isa::kScalar: return "scalar";
    case Isa::kNeon: return "neon";
    case Isa::kAvx2: return "avx2";
    case Isa::kAvx512: return "avx512";
    case Isa::kAvx512Vbmi: return "avx512_vbmi";
    case Isa::kAmx: return "amx";
  }
  return "unknown";
}

bool isa_available(Isa isa) noexcept { return detect(isa); }

std::vector<Isa> available_isas() {
  std::vector<Isa> isas;
  for (const Isa isa : kAll) {
    if (isa_available(isa)) isas.push_back(isa);
  }
  return isas;
}

Isa active_isa() {
  const int override_value = overriding.load(std::memory_order_relaxed);
  if (override_value >= 0) return static_cast<Isa>(override_value);
  static const Isa chosen = choose();
  return chosen;
}

IsaOverride::IsaOverride(Isa isa) : previous_(overriding.load()) {
  if (!isa_available(isa)) {
    throw_error(ErrorCode::kUnsupported, "instruction set ", isa_name(isa),
                ": this machine does not have it; it has ", names_of(available_isas()));
  }
  overriding.store(static_cast<int>(isa));
}

IsaOverride::~IsaOverride() { overriding.store(previous_); }

}  // namespace helix
