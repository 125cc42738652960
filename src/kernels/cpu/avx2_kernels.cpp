// AVX2, FMA and F16C.
//
// Codebook values have no 256-entry lookup here, and gathers are slow; a byte shuffle looks 16
// entries up. FixedTable has two forms of a codebook for that.
//
// Cubics: the segment of 16 entries selects four 16-bit coefficients, two shuffles each, and the
// place within the segment is where Horner's rule evaluates them. Rows of smooth codebooks.
//
// Residuals, for other codebooks and for panels: a byte plane of 256 residuals is 16 shuffles;
// together with an 8-bit base and an 8-bit multiplier per segment (one shuffle each) one vpmaddubsw
// makes the 16-bit value. A shuffle gives 0 where its index is negative, so the index within 64
// entries, lowered by 16 * h, asks segment h, and everything below 16 * h gets nothing; what the
// segments add to each other by exclusive or is stored, not what they hold. Blends join the four
// quarters. Blends alone would compete with the shuffles for the same two ports.

#include "kernels/cpu/cpu_tables.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace helix {
namespace avx2 {
namespace {

constexpr int kLanes = 8;
constexpr int kTileBatch = 6;
constexpr std::size_t kRowsAhead = 2048;
constexpr std::size_t kRowGroup = 4;
constexpr std::size_t kPanelGroup = 1;
constexpr int kFixedTileBatch = 4;
constexpr int kFixedTileRest = 2;

#include "kernels/cpu/lanes.inl"

static inline Vec load_half(const std::byte* from) {
  return (Vec)_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}

static inline void transpose(const float* in, std::size_t in_stride, float* out,
                             std::size_t out_stride) {
  __m256 a[8];
  __m256 b[8];
  for (std::size_t i = 0; i < 8; ++i) a[i] = _mm256_loadu_ps(in + i * in_stride);
  for (std::size_t i = 0; i < 8; i += 2) {
    b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
    b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
  }
  for (std::size_t i = 0; i < 8; i += 4) {
    a[i] = _mm256_shuffle_ps(b[i], b[i + 2], 0x44);
    a[i + 1] = _mm256_shuffle_ps(b[i], b[i + 2], 0xee);
    a[i + 2] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0x44);
    a[i + 3] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0xee);
  }
  for (std::size_t i = 0; i < 4; ++i) {
    _mm256_storeu_ps(out + i * out_stride, _mm256_permute2f128_ps(a[i], a[i + 4], 0x20));
    _mm256_storeu_ps(out + (i + 4) * out_stride, _mm256_permute2f128_ps(a[i], a[i + 4], 0x31));
  }
}

#include "kernels/cpu/everyday.inl"
#include "kernels/cpu/f32_products.inl"
// After the products, whose panels it uses.
#include "kernels/cpu/attention_block.inl"
#include "kernels/cpu/fill_table.inl"

using IntAcc = __m256i;

static inline IntAcc zero_sum() { return _mm256_setzero_si256(); }

static inline IntAcc load_pairs(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}

static inline IntAcc broadcast_pair(const std::int16_t* from) {
  std::int32_t pair;
  __builtin_memcpy(&pair, from, sizeof(pair));
  return _mm256_set1_epi32(pair);
}

static inline IntAcc dot(IntAcc sum, IntAcc w, IntAcc x) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(w, x));
}

static inline void dot_both(IntAcc& sum0, IntAcc& sum1, IntAcc w0, IntAcc w1,
                            const std::int16_t* x) {
  const IntAcc pair = broadcast_pair(x);
  sum0 = dot(sum0, w0, pair);
  sum1 = dot(sum1, w1, pair);
}

static inline Vec to_floats(IntAcc sum) { return (Vec)_mm256_cvtepi32_ps(sum); }

#include "kernels/cpu/fixed_products.inl"

// Where unpacking within 128-bit lanes leaves the 64 columns of two vectors of 32 indices.
constexpr std::uint8_t kColumnOrder[64] = {
    0,  1,  2,  3,  4,  5,  6,  7,  16, 17, 18, 19, 20, 21, 22, 23, 8,  9,  10, 11, 12, 13,
    14, 15, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 48, 49, 50, 51,
    52, 53, 54, 55, 40, 41, 42, 43, 44, 45, 46, 47, 56, 57, 58, 59, 60, 61, 62, 63};

static inline __m256i load_segment(const void* segment) {
  return _mm256_broadcastsi128_si256(_mm_load_si128(static_cast<const __m128i*>(segment)));
}

// What follows is kept in registers by hand: the order of assembly that is volatile, and functions
// that are inlined before arrays and structures become variables. Otherwise GCC loads all segments
// and does all shuffles first, and keeps them on the stack.

using Steps = const std::uint8_t (*)[32];

template <int kSegment>
[[gnu::always_inline]] static inline __m256i load_steps(Steps steps) {
  __m256i both;
  __asm__ volatile("vmovdqa %c2(%1), %0" : "=x"(both) : "r"(steps), "i"(32 * kSegment));
  return both;
}

[[gnu::always_inline]] static inline __m256i shuffle(__m256i steps, __m256i within) {
  __m256i found;
  __asm__ volatile("vpshufb %2, %1, %0" : "=x"(found) : "x"(steps), "x"(within));
  return found;
}

[[gnu::always_inline]] static inline __m256i add_shuffle(__m256i found, __m256i steps,
                                                         __m256i within) {
  __m256i part;
  __asm__ volatile("vpshufb %3, %2, %1\n\tvpxor %1, %0, %0"
                   : "+x"(found), "=&x"(part)
                   : "x"(steps), "x"(within));
  return found;
}

// The index within 64 entries, lowered by 0, 16, 32, 48.
struct Within {
  __m256i by0;
  __m256i by16;
  __m256i by32;
  __m256i by48;
};

[[gnu::always_inline]] static inline Within prepare(__m256i indices) {
  const __m256i segment = _mm256_set1_epi8(16);
  Within within;
  within.by0 = _mm256_and_si256(indices, _mm256_set1_epi8(63));
  within.by16 = _mm256_sub_epi8(within.by0, segment);
  within.by32 = _mm256_sub_epi8(within.by16, segment);
  within.by48 = _mm256_sub_epi8(within.by32, segment);
  return within;
}

// Of 2 x 32 indices, because a segment that is loaded once serves both.
struct Pair {
  __m256i first;
  __m256i second;
};

template <int kSegment>
[[gnu::always_inline]] static inline Pair look_up_quarter(Steps steps, const Within& first,
                                                          const Within& second) {
  __m256i segment = load_steps<kSegment>(steps);
  Pair found = {shuffle(segment, first.by0), shuffle(segment, second.by0)};
  segment = load_steps<kSegment + 1>(steps);
  found.first = add_shuffle(found.first, segment, first.by16);
  found.second = add_shuffle(found.second, segment, second.by16);
  segment = load_steps<kSegment + 2>(steps);
  found.first = add_shuffle(found.first, segment, first.by32);
  found.second = add_shuffle(found.second, segment, second.by32);
  segment = load_steps<kSegment + 3>(steps);
  found.first = add_shuffle(found.first, segment, first.by48);
  found.second = add_shuffle(found.second, segment, second.by48);
  return found;
}

// By the signs of the bytes of `masks`. In assembly, because GCC makes comparisons of them first.
[[gnu::always_inline]] static inline Pair blend(const Pair& zeros, const Pair& ones,
                                                const Pair& masks) {
  Pair result;
  __asm__ volatile("vpblendvb %3, %2, %1, %0"
                   : "=x"(result.first)
                   : "x"(zeros.first), "x"(ones.first), "x"(masks.first));
  __asm__ volatile("vpblendvb %3, %2, %1, %0"
                   : "=x"(result.second)
                   : "x"(zeros.second), "x"(ones.second), "x"(masks.second));
  return result;
}

[[gnu::always_inline]] static inline Pair look_up(Steps steps, const Pair& indices) {
  const Within first = prepare(indices.first);
  const Within second = prepare(indices.second);
  const Pair bit6 = {_mm256_add_epi8(indices.first, indices.first),
                     _mm256_add_epi8(indices.second, indices.second)};
  Pair lower = look_up_quarter<0>(steps, first, second);
  lower = blend(lower, look_up_quarter<4>(steps, first, second), bit6);
  Pair upper = look_up_quarter<8>(steps, first, second);
  upper = blend(upper, look_up_quarter<12>(steps, first, second), bit6);
  return blend(lower, upper, indices);
}

static inline __m256i segment_of(__m256i indices) {
  return _mm256_and_si256(_mm256_srli_epi16(indices, 4), _mm256_set1_epi8(15));
}

struct Residuals {
  __m256i base;
  __m256i multiplier;
  Steps steps;

  explicit Residuals(const FixedTable& table)
      : base(load_segment(table.base)),
        multiplier(load_segment(table.multiplier)),
        steps(table.residual_steps) {}

  [[gnu::always_inline]] void decode(const Pair& indices, __m256i* values) const {
    const Pair residuals = look_up(steps, indices);
    join(indices.first, residuals.first, values);
    join(indices.second, residuals.second, values + 2);
  }

  // Of 32 indices and their residuals the 2 x 16 values in column order.
  [[gnu::always_inline]] void join(__m256i indices, __m256i residual, __m256i* values) const {
    const __m256i segment = segment_of(indices);
    const __m256i bases = _mm256_shuffle_epi8(base, segment);
    const __m256i multipliers = _mm256_shuffle_epi8(multiplier, segment);
    const __m256i ones = _mm256_set1_epi8(-1);  // 255
    values[0] = _mm256_maddubs_epi16(_mm256_unpacklo_epi8(residual, ones),
                                     _mm256_unpacklo_epi8(multipliers, bases));
    values[1] = _mm256_maddubs_epi16(_mm256_unpackhi_epi8(residual, ones),
                                     _mm256_unpackhi_epi8(multipliers, bases));
  }
};

// Of 32 indices: the polynomials' segments, variable and values so far, 2 x 16 in column order.
struct Horner {
  __m256i segment;
  __m256i t[2];
  __m256i values[2];

  [[gnu::always_inline]] explicit Horner(__m256i indices) : segment(segment_of(indices)) {
    const __m256i rest = _mm256_and_si256(_mm256_slli_epi16(indices, 3), _mm256_set1_epi8(0x78));
    t[0] = _mm256_unpacklo_epi8(rest, rest);
    t[1] = _mm256_unpackhi_epi8(rest, rest);
  }

  // values = the coefficient
  [[gnu::always_inline]] void start(__m256i lows, __m256i highs) {
    __m256i high;
    __asm__ volatile(
        "vpshufb %5, %3, %0\n\t"
        "vpshufb %5, %4, %2\n\t"
        "vpunpckhbw %2, %0, %1\n\t"
        "vpunpcklbw %2, %0, %0"
        : "=&x"(values[0]), "=&x"(values[1]), "=&x"(high)
        : "x"(lows), "x"(highs), "x"(segment));
  }

  // values = values * t + the coefficient
  [[gnu::always_inline]] void step(__m256i lows, __m256i highs) {
    __m256i low;
    __m256i high;
    __m256i first;
    __asm__ volatile(
        "vpshufb %7, %5, %2\n\t"
        "vpshufb %7, %6, %3\n\t"
        "vpmulhrsw %8, %0, %0\n\t"
        "vpmulhrsw %9, %1, %1\n\t"
        "vpunpcklbw %3, %2, %4\n\t"
        "vpunpckhbw %3, %2, %2\n\t"
        "vpaddsw %4, %0, %0\n\t"
        "vpaddsw %2, %1, %1"
        : "+x"(values[0]), "+x"(values[1]), "=&x"(low), "=&x"(high), "=&x"(first)
        : "x"(lows), "x"(highs), "x"(segment), "x"(t[0]), "x"(t[1]));
  }
};

struct Cubics {
  Steps coefficients;

  explicit Cubics(const FixedTable& table) : coefficients(table.cubic) {}

  [[gnu::always_inline]] void decode(const Pair& indices, __m256i* values) const {
    Horner first(indices.first);
    Horner second(indices.second);
    const __m256i lows = load_steps<0>(coefficients);
    const __m256i highs = load_steps<1>(coefficients);
    first.start(lows, highs);
    second.start(lows, highs);
    step<1>(first, second);
    step<2>(first, second);
    step<3>(first, second);
    values[0] = first.values[0];
    values[1] = first.values[1];
    values[2] = second.values[0];
    values[3] = second.values[1];
  }

  template <int kStep>
  [[gnu::always_inline]] void step(Horner& first, Horner& second) const {
    const __m256i lows = load_steps<2 * kStep>(coefficients);
    const __m256i highs = load_steps<2 * kStep + 1>(coefficients);
    first.step(lows, highs);
    second.step(lows, highs);
  }
};

// The block's 64 values; indices past the end count as 0.
template <typename Lookup>
[[gnu::always_inline]] static inline void decode_block(const Lookup& lookup,
                                                       const std::uint8_t* from, std::size_t count,
                                                       __m256i* values) {
  alignas(32) std::uint8_t part[kFixedBlock];
  if (count < kFixedBlock) {
    for (std::size_t i = 0; i < kFixedBlock; ++i) part[i] = i < count ? from[i] : 0;
    from = part;
  }
  lookup.decode({load_pairs(from), load_pairs(from + 32)}, values);
}

template <typename Lookup, int kBatch>
static void fixed_rows_of(const FixedTable& table, const std::uint8_t* indices,
                          std::size_t index_columns, std::size_t begin, std::size_t end,
                          const FixedInput& x, std::size_t first, bool accumulate, float* y,
                          std::size_t y_stride) {
  const Lookup lookup(table);
  for (std::size_t row = begin; row < end; ++row) {
    const std::uint8_t* from = indices + row * index_columns;
    Vec sums[kBatch] = {};
    for (std::size_t block = 0; block < x.blocks;) {
      const float* scales = x.scales + block / kRowGroup * x.batch + first;
      IntAcc parts[kBatch];
      for (int n = 0; n < kBatch; ++n) parts[n] = zero_sum();
      for (const std::size_t next = smaller_size(x.blocks, block + kRowGroup); block < next;
           ++block) {
        __m256i w[4];
        const std::size_t done = block * kFixedBlock;
        prefetch_row(from + done);
        decode_block(lookup, from + done, index_columns - done, w);
        const std::int16_t* v = x.values + (block * x.batch + first) * kFixedBlock;
        for (int n = 0; n < kBatch; ++n, v += kFixedBlock) {
          for (int i = 0; i < 4; ++i) parts[n] = dot(parts[n], w[i], load_pairs(v + 16 * i));
        }
      }
      for (int n = 0; n < kBatch; ++n) sums[n] += to_floats(parts[n]) * broadcast(scales[n]);
    }
    for (int n = 0; n < kBatch; ++n) {
      float* to = y + (first + n) * y_stride + row;
      const float product = sum_lanes(sums[n]) * table.scale;
      *to = accumulate ? *to + product : product;
    }
  }
}

template <typename Lookup>
static void fixed_rows_by(const FixedTable& table, const std::uint8_t* indices,
                          std::size_t index_columns, std::size_t begin, std::size_t end,
                          const FixedInput& x, bool accumulate, float* y, std::size_t y_stride) {
  std::size_t n = 0;
  const auto advance = [&](auto rows_of, std::size_t batch) {
    for (; n + batch <= x.batch; n += batch) {
      rows_of(table, indices, index_columns, begin, end, x, n, accumulate, y, y_stride);
    }
  };
  advance(fixed_rows_of<Lookup, 8>, 8);
  advance(fixed_rows_of<Lookup, 4>, 4);
  advance(fixed_rows_of<Lookup, 2>, 2);
  advance(fixed_rows_of<Lookup, 1>, 1);
}

static void fixed_rows(const FixedTable& table, const std::uint8_t* indices,
                       std::size_t index_columns, std::size_t begin, std::size_t end,
                       const FixedInput& x, bool accumulate, float* y,
                       std::size_t y_stride) noexcept {
  const bool cubics = table.form == TableForm::kCubics;
  const auto rows_by = cubics ? fixed_rows_by<Cubics> : fixed_rows_by<Residuals>;
  rows_by(table, indices, index_columns, begin, end, x, accumulate, y, y_stride);
}

static void fixed_panel(const FixedTable& table, const std::uint8_t* indices,
                        std::size_t index_stride, std::size_t rows, std::size_t count,
                        std::uint16_t* panel) noexcept {
  const Residuals lookup(table);
  for (std::size_t done = 0; done < count; done += kFixedBlock) {
    alignas(32) float squares[4][kLanes * kLanes];  // pairs of 16-bit values
    for (std::size_t first = 0; first < kPanelRows; first += kLanes) {
      for (std::size_t r = 0; r < kLanes; ++r) {
        __m256i w[4] = {};
        if (first + r < rows) {
          const std::uint8_t* from = indices + (first + r) * index_stride + done;
          decode_block(lookup, from, count - done, w);
        }
        for (std::size_t i = 0; i < 4; ++i) store(squares[i] + r * kLanes, (Vec)w[i]);
      }
      auto* to = reinterpret_cast<float*>(panel) + done / 2 * kPanelRows + first;
      for (std::size_t i = 0; i < 4; ++i) {
        transpose(squares[i], kLanes, to + i * kLanes * kPanelRows, kPanelRows);
      }
    }
  }
}

static KernelTable make_table() {
  KernelTable table = everyday_table(Isa::kAvx2);
  table.column_order = kColumnOrder;
  table.segmented = true;
  table.fixed_rows = fixed_rows;
  table.fixed_panel = fixed_panel;
  table.fixed_multiply = fixed_multiply;
  return table;
}

}  // namespace
}  // namespace avx2

const KernelTable& avx2_kernels() noexcept {
  static const KernelTable table = avx2::make_table();
  return table;
}

}  // namespace helix

#endif
