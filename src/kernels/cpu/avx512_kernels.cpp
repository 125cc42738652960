// AVX-512 without VBMI: F, BW, DQ, VL (Skylake servers).
//
// vpermi2w looks 64 16-bit entries up in two registers: four of them and three blends find 32
// codebook values.

#include "kernels/cpu/cpu_tables.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace helix {
namespace avx512 {
namespace {

constexpr int kLanes = 16;
constexpr int kTileBatch = 12;
constexpr std::size_t kRowsAhead = 2048;
constexpr std::size_t kRowGroup = 4;
constexpr std::size_t kPanelGroup = 2;
constexpr int kFixedTileBatch = 12;
constexpr int kFixedTileRest = 4;

#include "kernels/cpu/lanes.inl"
// Before the products, which transpose.
#include "kernels/cpu/avx512_everyday.inl"
#include "kernels/cpu/everyday.inl"
#include "kernels/cpu/f32_products.inl"
// After the products, whose panels it uses.
#include "kernels/cpu/attention_block.inl"
#include "kernels/cpu/fill_table.inl"

using IntAcc = __m512i;

static inline IntAcc zero_sum() { return _mm512_setzero_si512(); }

static inline IntAcc load_pairs(const void* from) { return _mm512_loadu_si512(from); }

static inline IntAcc broadcast_pair(const std::int16_t* from) {
  std::int32_t pair;
  __builtin_memcpy(&pair, from, sizeof(pair));
  return _mm512_set1_epi32(pair);
}

static inline IntAcc dot(IntAcc sum, IntAcc w, IntAcc x) {
  return _mm512_add_epi32(sum, _mm512_madd_epi16(w, x));
}

static inline void dot_both(IntAcc& sum0, IntAcc& sum1, IntAcc w0, IntAcc w1,
                            const std::int16_t* x) {
  const IntAcc pair = broadcast_pair(x);
  sum0 = dot(sum0, w0, pair);
  sum1 = dot(sum1, w1, pair);
}

static inline Vec to_floats(IntAcc sum) { return (Vec)_mm512_cvtepi32_ps(sum); }

#include "kernels/cpu/sum_blocks.inl"
// After what it calls.
#include "kernels/cpu/fixed_products.inl"

constexpr std::uint8_t kColumnOrder[64] = {
    0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
    22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
    44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};

class Lookup {
 public:
  explicit Lookup(const FixedTable& table) {
    for (int i = 0; i < 8; ++i) values_[i] = _mm512_load_si512(table.values + 32 * i);
  }

  void decode(const std::uint8_t* from, std::size_t count, __m512i* out) const {
    const __mmask64 mask = count >= 64 ? ~0ULL : (1ULL << count) - 1;
    const __m512i indices = _mm512_maskz_loadu_epi8(mask, from);
    out[0] = look_up(_mm512_cvtepu8_epi16(_mm512_castsi512_si256(indices)));
    out[1] = look_up(_mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(indices, 1)));
  }

 private:
  __m512i pair(__m512i indices, int first) const {
    return _mm512_permutex2var_epi16(values_[first], indices, values_[first + 1]);
  }

  __m512i look_up(__m512i indices) const {
    const __mmask32 bit6 = _mm512_test_epi16_mask(indices, _mm512_set1_epi16(64));
    const __mmask32 bit7 = _mm512_test_epi16_mask(indices, _mm512_set1_epi16(128));
    const __m512i low = _mm512_mask_blend_epi16(bit6, pair(indices, 0), pair(indices, 2));
    const __m512i high = _mm512_mask_blend_epi16(bit6, pair(indices, 4), pair(indices, 6));
    return _mm512_mask_blend_epi16(bit7, low, high);
  }

  __m512i values_[8];
};

#include "kernels/cpu/avx512_fixed.inl"
#include "kernels/cpu/avx512_lookup.inl"

static KernelTable make_table() {
  KernelTable table = everyday_table(Isa::kAvx512);
  table.column_order = kColumnOrder;
  table.lookup_rows = lookup_rows;
  table.order_columns = order_columns;
  table.fixed_rows = fixed_rows;
  table.fixed_panel = fixed_panel;
  table.fixed_multiply = fixed_multiply;
  return table;
}

}  // namespace
}  // namespace avx512

const KernelTable& avx512_kernels() noexcept {
  static const KernelTable table = avx512::make_table();
  return table;
}

}  // namespace helix

#endif
