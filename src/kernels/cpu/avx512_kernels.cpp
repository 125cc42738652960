// AVX-512 without VBMI: F, BW, DQ, VL (Skylake servers).
//
// vpermi2w looks 64 16-bit entries up in two registers: four of them and three blends find 32
// codebook values. Rows of smooth codebooks follow them by lines and shapes instead.

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

// 64 indices, those past `count` zero.
static inline __m512i load_indices(const std::uint8_t* from, std::size_t count) {
  return _mm512_maskz_loadu_epi8(count >= 64 ? ~0ULL : (1ULL << count) - 1, from);
}

class Lookup {
 public:
  explicit Lookup(const FixedTable& table) {
    for (int i = 0; i < 8; ++i) values_[i] = _mm512_load_si512(table.values + 32 * i);
  }

  [[gnu::always_inline]] void decode(const std::uint8_t* from, std::size_t count,
                                     __m512i* out) const {
    const __m512i indices = load_indices(from, count);
    out[0] = look_up(_mm512_unpacklo_epi8(indices, _mm512_setzero_si512()));
    out[1] = look_up(_mm512_unpackhi_epi8(indices, _mm512_setzero_si512()));
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

// By lines and shapes (avx2_lookups.inl), for rows: half the instructions of four vpermi2w.
template <TableForm kForm>
class Shapes {
 public:
  explicit Shapes(const FixedTable& table) {
    for (int i = 0; i < 8; ++i) {
      bytes_[i] =
          _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(table.shapes[i])));
    }
  }

  // Shuffles give 0 where the index is negative: as it is, in the upper half; with its top bit
  // turned, in the lower half; and moved by 112 with saturation, everywhere but in one end.
  [[gnu::always_inline]] void decode(const std::uint8_t* from, std::size_t count,
                                     __m512i* out) const {
    const __m512i indices = load_indices(from, count);
    const __m512i segments = _mm512_and_si512(_mm512_srli_epi16(indices, 4), _mm512_set1_epi8(15));
    const __m512i turned = _mm512_xor_si512(indices, _mm512_set1_epi8(-128));
    const auto of_segment = [&](int row) { return _mm512_shuffle_epi8(bytes_[row], segments); };
    __m512i shape = _mm512_xor_si512(_mm512_shuffle_epi8(bytes_[4], indices),
                                     _mm512_shuffle_epi8(bytes_[5], turned));
    if constexpr (kForm == TableForm::kShapesAndEnds) {
      const __m512i to_ends = _mm512_set1_epi8(112);
      const __m512i first = _mm512_shuffle_epi8(bytes_[6], _mm512_adds_epu8(indices, to_ends));
      const __m512i last = _mm512_shuffle_epi8(bytes_[7], _mm512_subs_epi8(turned, to_ends));
      shape = _mm512_ternarylogic_epi32(shape, first, last, 0x96);  // exclusive or
    }
    constexpr bool kShifts = kForm == TableForm::kShifts;
    const __m512i number = kShifts ? _mm512_add_epi8(indices, of_segment(0)) : indices;
    const __m512i slope = of_segment(2);
    const __m512i factor = of_segment(3);
    out[0] = _mm512_maddubs_epi16(_mm512_unpacklo_epi8(slope, factor),
                                  _mm512_unpacklo_epi8(number, shape));
    out[1] = _mm512_maddubs_epi16(_mm512_unpackhi_epi8(slope, factor),
                                  _mm512_unpackhi_epi8(number, shape));
    if constexpr (!kShifts) {
      const __m512i low = of_segment(0);
      const __m512i high = of_segment(1);
      out[0] = _mm512_add_epi16(out[0], _mm512_unpacklo_epi8(low, high));
      out[1] = _mm512_add_epi16(out[1], _mm512_unpackhi_epi8(low, high));
    }
  }

 private:
  __m512i bytes_[8];  // rows of FixedTable::shapes
};

#include "kernels/cpu/avx512_fixed.inl"
#include "kernels/cpu/avx512_lookup.inl"
#include "kernels/cpu/rows_by_form.inl"

static KernelTable make_table() {
  KernelTable table = everyday_table(Isa::kAvx512);
  table.row_forms = kShapeForms;
  table.row_form_count = 3;
  table.column_order = kColumnOrder;
  table.lookup_rows = lookup_rows;
  table.order_columns = order_columns;
  table.fixed_rows = fixed_rows<Lookup>;
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
