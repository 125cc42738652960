// AVX-512 with VBMI, VNNI and BF16 (Zen 4).

#include "kernels/cpu/cpu_tables.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace helix {
namespace avx512_vbmi {
namespace {

constexpr std::size_t kRowsAhead = 0;
constexpr bool kSingleLookups = false;

#include "kernels/cpu/avx512_vbmi.inl"

}  // namespace
}  // namespace avx512_vbmi

const KernelTable& avx512_vbmi_kernels() noexcept {
  static const KernelTable table = avx512_vbmi::vbmi_table(Isa::kAvx512Vbmi);
  return table;
}

}  // namespace helix

#endif
