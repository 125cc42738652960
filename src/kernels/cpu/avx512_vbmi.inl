// The kernels of AVX-512 with VBMI, VNNI and BF16 (Zen 4, Sapphire Rapids). Needs kRowsAhead and
// kSingleLookups.
//
// The low and the high bytes of 64 codebook values are looked up for themselves. vpermi2b looks 128
// bytes up in two registers, vpermb 64 in one: for 256 two of the former and a blend where vpermi2b
// is a single operation (Zen 4), four of the latter that merge where it is three (Sapphire Rapids).

constexpr int kLanes = 16;
constexpr int kTileBatch = 12;
constexpr std::size_t kRowGroup = 8;
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

// In assembly, because GCC copies every sum when it is given the intrinsic.
static inline IntAcc dot(IntAcc sum, IntAcc w, IntAcc x) {
  __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(w), "v"(x));
  return sum;
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

// GCC would rather load again than copy a register; processors have few loads of 64 bytes a cycle.
static inline __m512i loaded_once(__m512i v) {
  __asm__("" : "+v"(v));
  return v;
}

// 64 indices, those past `count` zero, for lookups in planes of bytes.
class Indices {
 public:
  Indices(const std::uint8_t* from, std::size_t count)
      : indices_(loaded_once(
            _mm512_maskz_loadu_epi8(count >= 64 ? ~0ULL : (1ULL << count) - 1, from))),
        bit7_(_mm512_movepi8_mask(indices_)) {
    if constexpr (kSingleLookups) {
      bit6_ = _mm512_movepi8_mask(_mm512_add_epi8(indices_, indices_));
    }
  }

  // Of 256 bytes.
  __m512i in(const __m512i (&plane)[4]) const {
    if constexpr (kSingleLookups) {
      __m512i found = _mm512_permutexvar_epi8(indices_, plane[0]);
      found = _mm512_mask_permutexvar_epi8(found, bit6_, indices_, plane[1]);
      found = _mm512_mask_permutexvar_epi8(found, bit7_, indices_, plane[2]);
      return _mm512_mask_permutexvar_epi8(found, bit6_ & bit7_, indices_, plane[3]);
    } else {
      return _mm512_mask_blend_epi8(bit7_, _mm512_permutex2var_epi8(plane[0], indices_, plane[1]),
                                    _mm512_permutex2var_epi8(plane[2], indices_, plane[3]));
    }
  }

  // Of 128 bytes, by index / 2. What the shift brings from a neighbour, the lookups ignore.
  __m512i in(const __m512i (&plane)[2]) const {
    const __m512i halves = _mm512_srli_epi16(indices_, 1);
    if constexpr (kSingleLookups) {
      return _mm512_mask_permutexvar_epi8(_mm512_permutexvar_epi8(halves, plane[0]), bit7_, halves,
                                          plane[1]);
    } else {
      return _mm512_permutex2var_epi8(plane[0], halves, plane[1]);
    }
  }

 private:
  __m512i indices_;
  __mmask64 bit7_;
  __mmask64 bit6_ = 0;
};

template <int kRegisters>
static inline void load_plane(const void* from, __m512i (&plane)[kRegisters]) {
  for (int i = 0; i < kRegisters; ++i) {
    plane[i] = _mm512_load_si512(static_cast<const std::byte*>(from) + 64 * i);
  }
}

// For avx512_fixed.inl: unpacking joins the bytes.
class Lookup {
 public:
  explicit Lookup(const FixedTable& table) {
    load_plane(table.low, low_);
    load_plane(table.high, high_);
  }

  [[gnu::always_inline]] void decode(const std::uint8_t* from, std::size_t count,
                                     __m512i* out) const {
    const Indices indices(from, count);
    const __m512i high = indices.in(high_);
    const __m512i low = indices.in(low_);
    out[0] = _mm512_unpacklo_epi8(low, high);
    out[1] = _mm512_unpackhi_epi8(low, high);
  }

 private:
  __m512i low_[4];
  __m512i high_[4];
};

#include "kernels/cpu/avx512_fixed.inl"
#include "kernels/cpu/avx512_lookup.inl"
// After Indices; the planes take how bytes are cut.
#include "kernels/cpu/avx512_bytes.inl"
#include "kernels/cpu/avx512_planes.inl"

static inline __m512 bf16_dot(__m512 sum, __m512i w, __m512i x) {
  __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(w), "v"(x));
  return sum;
}

// x (steps / 16, batch_stride, 32)
template <int kBatch>
static inline void bf16_tile(const std::uint16_t* panel, std::size_t steps, const std::uint16_t* x,
                             std::size_t batch_stride, float* tile) {
  __m512 first[kBatch];
  __m512 second[kBatch];
  unroll<kBatch>([&]<int n>() {
    first[n] = _mm512_loadu_ps(tile + n * kPanelRows);
    second[n] = _mm512_loadu_ps(tile + n * kPanelRows + kLanes);
  });
  for (std::size_t chunk = 0; chunk < steps / 16; ++chunk) {
    for (std::size_t step = 0; step < 16; ++step) {
      const __m512i w0 = load_pairs(panel);
      const __m512i w1 = load_pairs(panel + kPanelRows);
      panel += 2 * kPanelRows;
      unroll<kBatch>([&]<int n>() {
        const __m512i pair = broadcast_pair(x + n * 32 + 2 * step);
        first[n] = bf16_dot(first[n], w0, pair);
        second[n] = bf16_dot(second[n], w1, pair);
      });
    }
    x += batch_stride * 32;
  }
  unroll<kBatch>([&]<int n>() {
    _mm512_storeu_ps(tile + n * kPanelRows, first[n]);
    _mm512_storeu_ps(tile + n * kPanelRows + kLanes, second[n]);
  });
}

static void bf16_multiply(const std::uint16_t* panel, std::size_t steps, const std::uint16_t* x,
                          std::size_t batch_stride, std::size_t batch, float* tile) noexcept {
  constexpr std::size_t kStepsAtOnce = 128;  // 16 KiB of a panel
  for (std::size_t step = 0; step < steps; step += kStepsAtOnce) {
    const std::size_t count = smaller_size(kStepsAtOnce, steps - step);
    const std::uint16_t* part = panel + step * 2 * kPanelRows;
    std::size_t n = 0;
    const auto advance = [&](auto tile_of, std::size_t rows) {
      for (; n + rows <= batch; n += rows) {
        tile_of(part, count, x + (step / 16 * batch_stride + n) * 32, batch_stride,
                tile + n * kPanelRows);
      }
    };
    advance(bf16_tile<12>, 12);
    advance(bf16_tile<4>, 4);
    advance(bf16_tile<1>, 1);
  }
}

constexpr TableForm kRowForms[] = {TableForm::kPairs};

static KernelTable vbmi_table(Isa isa) {
  KernelTable table = everyday_table(isa);
  table.column_order = kColumnOrder;
  table.lookup_rows = lookup_rows;
  table.order_columns = order_columns;
  table.fixed_rows = fixed_rows_by<Lookup>;
  table.row_forms = kRowForms;
  table.row_form_count = 1;
  table.byte_input = byte_input;
  table.byte_rows = byte_rows;
  table.fixed_panel = fixed_panel;
  table.fixed_multiply = fixed_multiply;
  table.bf16_panel = bf16_panel;
  table.bf16_multiply = bf16_multiply;
  table.plane_input = plane_input;
  table.plane_panel = plane_panel;
  table.plane_store = plane_store;
  return table;
}
