#pragma once

#include "kernels/cpu/kernel_table.h"

namespace helix {

// One function per instruction set of this architecture; calling one is safe on every machine only
// for the instruction sets it has.
const KernelTable& scalar_kernels() noexcept;
#if defined(__x86_64__)
const KernelTable& avx2_kernels() noexcept;
const KernelTable& avx512_kernels() noexcept;
const KernelTable& avx512_vbmi_kernels() noexcept;
const KernelTable& amx_kernels() noexcept;
#elif defined(__aarch64__)
const KernelTable& neon_kernels() noexcept;
#endif

}  // namespace helix
