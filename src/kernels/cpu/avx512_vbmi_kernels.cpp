// AVX-512 with VBMI, VNNI and BF16 (Zen 4, Sapphire Rapids).
//
// vpermi2b looks 128 bytes up in two registers: four of them and two blends find the low and the
// high bytes of 64 codebook values, unpacking joins the bytes.

#include "kernels/cpu/cpu_tables.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace helix {
namespace avx512_vbmi {
namespace {

constexpr int kLanes = 16;
constexpr int kTileBatch = 12;
constexpr int kFixedTileBatch = 12;

#include "kernels/cpu/lanes.inl"
// Before the products, which transpose.
#include "kernels/cpu/avx512_everyday.inl"
#include "kernels/cpu/everyday.inl"
#include "kernels/cpu/f32_products.inl"
// After the products, whose panels it uses.
#include "kernels/cpu/attention_block.inl"
#include "kernels/cpu/bf16_panel.inl"
#include "kernels/cpu/fill_table.inl"

using IntAcc = __m512i;

static inline IntAcc zero_sum() { return _mm512_setzero_si512(); }

static inline IntAcc load_pairs(const void* from) { return _mm512_loadu_si512(from); }

static inline IntAcc broadcast_pair(const void* from) {
  std::int32_t pair;
  __builtin_memcpy(&pair, from, sizeof(pair));
  return _mm512_set1_epi32(pair);
}

static inline IntAcc dot(IntAcc sum, IntAcc w, IntAcc x) { return _mm512_dpwssd_epi32(sum, w, x); }

static inline Vec to_floats(IntAcc sum) { return (Vec)_mm512_cvtepi32_ps(sum); }

#include "kernels/cpu/fixed_products.inl"

// Where unpacking within 128-bit lanes leaves the 64 columns.
constexpr std::uint8_t kColumnOrder[64] = {
    0,  1,  2,  3,  4,  5,  6,  7,  16, 17, 18, 19, 20, 21, 22, 23, 32, 33, 34, 35, 36, 37,
    38, 39, 48, 49, 50, 51, 52, 53, 54, 55, 8,  9,  10, 11, 12, 13, 14, 15, 24, 25, 26, 27,
    28, 29, 30, 31, 40, 41, 42, 43, 44, 45, 46, 47, 56, 57, 58, 59, 60, 61, 62, 63};

class Lookup {
 public:
  explicit Lookup(const FixedTable& table) {
    for (int i = 0; i < 4; ++i) {
      low_[i] = _mm512_load_si512(table.low + 64 * i);
      high_[i] = _mm512_load_si512(table.high + 64 * i);
    }
  }

  void decode(const std::uint8_t* from, std::size_t count, __m512i* out) const {
    const __mmask64 mask = count >= 64 ? ~0ULL : (1ULL << count) - 1;
    const __m512i indices = _mm512_maskz_loadu_epi8(mask, from);
    const __mmask64 upper = _mm512_movepi8_mask(indices);
    const __m512i low = look_up(low_, upper, indices);
    const __m512i high = look_up(high_, upper, indices);
    out[0] = _mm512_unpacklo_epi8(low, high);
    out[1] = _mm512_unpackhi_epi8(low, high);
  }

 private:
  static __m512i look_up(const __m512i* plane, __mmask64 upper, __m512i indices) {
    return _mm512_mask_blend_epi8(upper, _mm512_permutex2var_epi8(plane[0], indices, plane[1]),
                                  _mm512_permutex2var_epi8(plane[2], indices, plane[3]));
  }

  __m512i low_[4];
  __m512i high_[4];
};

#include "kernels/cpu/avx512_fixed.inl"

template <int kBatch>
static inline void bf16_tile(const std::uint16_t* panel, std::size_t steps, const std::uint16_t* x,
                             std::size_t x_stride, float* tile) {
  __m512 first[kBatch];
  __m512 second[kBatch];
  for (int n = 0; n < kBatch; ++n) {
    first[n] = _mm512_loadu_ps(tile + n * kPanelRows);
    second[n] = _mm512_loadu_ps(tile + n * kPanelRows + kLanes);
  }
  for (std::size_t step = 0; step < steps; ++step) {
    const auto w0 = (__m512bh)load_pairs(panel + step * 2 * kPanelRows);
    const auto w1 = (__m512bh)load_pairs(panel + step * 2 * kPanelRows + kPanelRows);
    for (int n = 0; n < kBatch; ++n) {
      const auto v = (__m512bh)broadcast_pair(x + n * x_stride + 2 * step);
      first[n] = _mm512_dpbf16_ps(first[n], w0, v);
      second[n] = _mm512_dpbf16_ps(second[n], w1, v);
    }
  }
  for (int n = 0; n < kBatch; ++n) {
    _mm512_storeu_ps(tile + n * kPanelRows, first[n]);
    _mm512_storeu_ps(tile + n * kPanelRows + kLanes, second[n]);
  }
}

static void bf16_multiply(const std::uint16_t* panel, std::size_t steps, const std::uint16_t* x,
                          std::size_t batch, float* tile) noexcept {
  constexpr std::size_t kStepsAtOnce = 128;  // 16 KiB of a panel
  for (std::size_t step = 0; step < steps; step += kStepsAtOnce) {
    const std::size_t count = smaller_size(kStepsAtOnce, steps - step);
    const std::uint16_t* part = panel + step * 2 * kPanelRows;
    std::size_t n = 0;
    const auto advance = [&](auto tile_of, std::size_t rows) {
      for (; n + rows <= batch; n += rows) {
        tile_of(part, count, x + (n * steps + step) * 2, 2 * steps, tile + n * kPanelRows);
      }
    };
    advance(bf16_tile<12>, 12);
    advance(bf16_tile<6>, 6);
    advance(bf16_tile<1>, 1);
  }
}

static KernelTable make_table() {
  KernelTable table = everyday_table(Isa::kAvx512Vbmi);
  table.column_order = kColumnOrder;
  table.fixed_rows = fixed_rows;
  table.fixed_panel = fixed_panel;
  table.fixed_multiply = fixed_multiply;
  table.bf16_panel = bf16_panel;
  table.bf16_multiply = bf16_multiply;
  return table;
}

}  // namespace
}  // namespace avx512_vbmi

const KernelTable& avx512_vbmi_kernels() noexcept {
  static const KernelTable table = avx512_vbmi::make_table();
  return table;
}

}  // namespace helix

#endif
