#include "kernels/cpu/kernel_table.h"

#include "kernels/cpu/cpu_tables.h"

namespace helix {

const KernelTable& kernel_table(Isa isa) noexcept {
  switch (isa) {
#if defined(__x86_64__)
    case Isa::kAvx2: return avx2_kernels();
    case Isa::kAvx512: return avx512_kernels();
    case Isa::kAvx512Vbmi: return avx512_vbmi_kernels();
    case Isa::kAmx: return amx_kernels();
#elif defined(__aarch64__)
    case Isa::kNeon: return neon_kernels();
#endif
    default: return scalar_kernels();
  }
}

const KernelTable& active_kernels() { return kernel_table(active_isa()); }

}  // namespace helix
