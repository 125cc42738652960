// Sapphire Rapids and later: the AVX-512 VBMI kernels as these processors want them, and AMX tiles
// of bytes and of BF16 for large batches.

#include "kernels/cpu/amx_multiply.h"
#include "kernels/cpu/amx_planes.h"
#include "kernels/cpu/amx_split.h"
#include "kernels/cpu/cpu_tables.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace helix {
namespace amx {
namespace {

constexpr std::size_t kRowsAhead = 2048;
constexpr bool kSingleLookups = true;

#include "kernels/cpu/avx512_vbmi.inl"

// Palette 1: every tile 16 rows of 64 bytes.
struct TileShapes {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileShapes) == 64);

// Tile registers belong to the thread, so every call sets them up and gives them back. Written in
// assembly: GCC 12's intrinsics neither take template arguments nor tell that they touch memory.
struct HardwareTiles {
  static void begin() {
    const TileShapes shapes;
    __asm__ volatile("ldtilecfg %0" : : "m"(shapes));
  }
  static void end() { __asm__ volatile("tilerelease" : : : "memory"); }
  template <int kTile>
  static void load(const void* from, std::size_t stride) {
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2"
                     :
                     : "r"(from), "r"(stride), "i"(kTile)
                     : "memory");
  }
  template <int kTile>
  static void store(void* to, std::size_t stride) {
    __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)"
                     :
                     : "r"(to), "r"(stride), "i"(kTile)
                     : "memory");
  }
  template <int kTile>
  static void zero() {
    __asm__ volatile("tilezero %%tmm%c0" : : "i"(kTile));
  }
  // sum (16, 16) += left (16, 64) * right (16, 16, 4), signed bytes.
  template <int kSum, int kLeft, int kRight>
  static void dot_bytes() {
    __asm__ volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kLeft), "i"(kRight));
  }
  // sum (16, 16) += left (16, 16 pairs) * right (16 pairs, 16).
  template <int kSum, int kLeft, int kRight>
  static void dot() {
    __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0"
                     :
                     : "i"(kSum), "i"(kLeft), "i"(kRight));
  }
};

#include "kernels/cpu/amx_attention.inl"

static void tile_bf16_multiply(const std::uint16_t* panel, std::size_t steps,
                               const std::uint16_t* x, std::size_t batch_stride, std::size_t batch,
                               float* tile) noexcept {
  AmxMultiply<HardwareTiles>::multiply(panel, steps, x, batch_stride, batch, tile);
}

static KernelTable make_table() {
  KernelTable table = vbmi_table(Isa::kAmx);
  table.bf16_multiply = tile_bf16_multiply;
  table.attention = tile_attention;
  table.plane_multiply = AmxPlanes<HardwareTiles>::multiply;
  return table;
}

}  // namespace
}  // namespace amx

const KernelTable& amx_kernels() noexcept {
  static const KernelTable table = amx::make_table();
  return table;
}

}  // namespace helix

#endif
