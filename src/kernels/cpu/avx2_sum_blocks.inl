// sum_blocks for fixed_products.inl.

// clang-format off
// One step of batch row n: a pair of columns of 16 rows.
#define HELIX_ROW_STEP(n, first, second)                     \
  ".if %c[batch] > " #n "\n\t"                               \
  "vpbroadcastd 128 * " #n "(%[x]), %%ymm14\n\t"             \
  "vpmaddwd %%ymm14, %%ymm12, %%ymm15\n\t"                   \
  "vpmaddwd %%ymm14, %%ymm13, %%ymm14\n\t"                   \
  "vpaddd %%ymm15, %%ymm" #first ", %%ymm" #first "\n\t"     \
  "vpaddd %%ymm14, %%ymm" #second ", %%ymm" #second "\n\t"   \
  ".endif\n\t"
#define HELIX_ROW_STORE(n, first, second)                    \
  ".if %c[batch] > " #n "\n\t"                               \
  "vmovdqa %%ymm" #first ", 32 * " #n "(%[first])\n\t"       \
  "vmovdqa %%ymm" #second ", 32 * " #n "(%[second])\n\t"     \
  ".endif\n\t"
// clang-format on

// In assembly, because GCC unrolls the loop, which costs a third of the speed on Zen 3: longer code
// is decoded again and again.
template <int kBatch>
static inline void sum_blocks(const std::uint16_t* panel, std::size_t, const std::int16_t* x,
                              std::size_t, IntAcc (&first)[kBatch], IntAcc (&second)[kBatch]) {
  static_assert(kPanelGroup == 1 && kBatch <= 6);
  for (std::size_t n = kBatch; n < 2 * kBatch; ++n) {  // the next rows
    __builtin_prefetch(x + n * kFixedBlock);
    __builtin_prefetch(x + n * kFixedBlock + kFixedBlock / 2);
  }
  __asm__ volatile(
      "vpxor %%xmm0, %%xmm0, %%xmm0\n\t"
      "vpxor %%xmm1, %%xmm1, %%xmm1\n\t"
      "vpxor %%xmm2, %%xmm2, %%xmm2\n\t"
      "vpxor %%xmm3, %%xmm3, %%xmm3\n\t"
      "vpxor %%xmm4, %%xmm4, %%xmm4\n\t"
      "vpxor %%xmm5, %%xmm5, %%xmm5\n\t"
      "vpxor %%xmm6, %%xmm6, %%xmm6\n\t"
      "vpxor %%xmm7, %%xmm7, %%xmm7\n\t"
      "vpxor %%xmm8, %%xmm8, %%xmm8\n\t"
      "vpxor %%xmm9, %%xmm9, %%xmm9\n\t"
      "vpxor %%xmm10, %%xmm10, %%xmm10\n\t"
      "vpxor %%xmm11, %%xmm11, %%xmm11\n\t"
      ".p2align 4\n"
      "1:\n\t"
      "vmovdqu (%[panel]), %%ymm12\n\t"
      "vmovdqu 32(%[panel]), %%ymm13\n\t"
      HELIX_ROW_STEP(0, 0, 1)
      HELIX_ROW_STEP(1, 2, 3)
      HELIX_ROW_STEP(2, 4, 5)
      HELIX_ROW_STEP(3, 6, 7)
      HELIX_ROW_STEP(4, 8, 9)
      HELIX_ROW_STEP(5, 10, 11)
      "add $64, %[panel]\n\t"
      "add $4, %[x]\n\t"
      "cmp %[end], %[x]\n\t"
      "jne 1b\n\t"
      HELIX_ROW_STORE(0, 0, 1)
      HELIX_ROW_STORE(1, 2, 3)
      HELIX_ROW_STORE(2, 4, 5)
      HELIX_ROW_STORE(3, 6, 7)
      HELIX_ROW_STORE(4, 8, 9)
      HELIX_ROW_STORE(5, 10, 11)
      : [panel] "+r"(panel), [x] "+r"(x)
      : [end] "r"(x + kFixedBlock), [first] "r"(first), [second] "r"(second), [batch] "i"(kBatch)
      : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
        "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

#undef HELIX_ROW_STEP
#undef HELIX_ROW_STORE
