// AVX2, FMA and F16C.
//
// Codebook values have no 256-entry lookup here, and gathers are slow; a byte shuffle looks 16
// entries up. FixedTable has two forms of a codebook for that.
//
// Shapes: a line for every segment of 16 entries plus a multiple of a shape that eight segments
// share; one vpmaddubsw multiplies both. Rows of smooth codebooks.
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
constexpr int kFixedTileBatch = 6;
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

static inline IntAcc dot(IntAcc sum, IntAcc w, IntAcc x) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(w, x));
}

static inline Vec to_floats(IntAcc sum) { return (Vec)_mm256_cvtepi32_ps(sum); }

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

struct Bytes {
  alignas(32) std::uint8_t all[32];
  constexpr explicit Bytes(std::uint8_t byte) : all{} {
    for (std::uint8_t& one : all) one = byte;
  }
};
constexpr Bytes kLowNibble(0x0f);
constexpr Bytes kTopBit(0x80);
constexpr Bytes kToEnds(112);

template <bool kEnds>
struct Shapes {
  __m256i base_low;
  __m256i base_high;
  __m256i slope;
  __m256i factor;
  __m256i lower;
  __m256i upper;
  __m256i first;
  __m256i last;

  explicit Shapes(const FixedTable& table)
      : base_low(load_pairs(table.shapes[0])),
        base_high(load_pairs(table.shapes[1])),
        slope(load_pairs(table.shapes[2])),
        factor(load_pairs(table.shapes[3])),
        lower(load_pairs(table.shapes[4])),
        upper(load_pairs(table.shapes[5])),
        first(load_pairs(table.shapes[6])),
        last(load_pairs(table.shapes[7])) {}

  [[gnu::always_inline]] void decode(const Pair& indices, __m256i* values) const {
    decode_half(indices.first, values);
    decode_half(indices.second, values + 2);
  }

  // Shuffles give 0 where the index is negative: as it is, in the upper half; with its top bit
  // turned, in the lower half; and moved by 112 with saturation, everywhere but in one end.
  [[gnu::always_inline]] void decode_half(__m256i indices, __m256i* values) const {
    __m256i segment, a, b, c, d;
    __asm__ volatile(
        "vpsrlw $4, %0, %1\n\t"
        "vpand %[nibble], %1, %1\n\t"
        "vpxor %[top], %0, %2\n\t"
        ".if %c[ends]\n\t"
        "vpaddusb %[to_ends], %0, %3\n\t"
        "vpsubsb %[to_ends], %2, %4\n\t"
        "vpshufb %3, %[first], %3\n\t"
        "vpshufb %4, %[last], %4\n\t"
        "vpxor %4, %3, %3\n\t"
        ".endif\n\t"
        "vpshufb %2, %[upper], %2\n\t"
        "vpshufb %0, %[lower], %5\n\t"
        "vpxor %5, %2, %2\n\t"
        ".if %c[ends]\n\t"
        "vpxor %3, %2, %2\n\t"
        ".endif\n\t"
        "vpshufb %1, %[slope], %3\n\t"
        "vpshufb %1, %[factor], %4\n\t"
        "vpunpcklbw %2, %0, %5\n\t"
        "vpunpckhbw %2, %0, %0\n\t"
        "vpunpcklbw %4, %3, %2\n\t"
        "vpunpckhbw %4, %3, %3\n\t"
        "vpmaddubsw %5, %2, %5\n\t"
        "vpmaddubsw %0, %3, %0\n\t"
        "vpshufb %1, %[base_low], %2\n\t"
        "vpshufb %1, %[base_high], %1\n\t"
        "vpunpcklbw %1, %2, %3\n\t"
        "vpunpckhbw %1, %2, %2\n\t"
        "vpaddw %3, %5, %5\n\t"
        "vpaddw %2, %0, %0"
        : "+x"(indices), "=&x"(segment), "=&x"(a), "=&x"(b), "=&x"(c), "=&x"(d)
        : [base_low] "x"(base_low), [base_high] "x"(base_high), [slope] "x"(slope),
          [factor] "x"(factor), [lower] "x"(lower), [upper] "x"(upper),
          [first] "x"(kEnds ? first : lower), [last] "x"(kEnds ? last : upper),
          [nibble] "m"(kLowNibble), [top] "m"(kTopBit), [to_ends] "m"(kToEnds),
          [ends] "i"(kEnds ? 1 : 0));
    values[0] = d;
    values[1] = indices;
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

struct RowTask {
  const FixedTable& table;
  const std::uint8_t* indices;
  std::size_t index_columns;
  const FixedInput& x;
  bool accumulate;
  float* y;
  std::size_t y_stride;
};

// Rows [begin, begin + count * kRows): `count` times kRows rows that lie `count` rows apart. Two
// streams at once keep more of the memory's latency under way than one.
template <typename Lookup, int kRows, int kBatch>
static void fixed_rows_of(const RowTask& task, std::size_t begin, std::size_t count,
                          std::size_t first) {
  const Lookup lookup(task.table);
  const FixedInput& x = task.x;
  const std::size_t apart = count * task.index_columns;
  for (std::size_t row = begin; row < begin + count; ++row) {
    const std::uint8_t* from = task.indices + row * task.index_columns;
    Vec sums[kRows][kBatch] = {};
    for (std::size_t block = 0; block < x.blocks;) {
      const float* scales = x.scales + block / kRowGroup * x.batch + first;
      IntAcc parts[kRows][kBatch];
      unroll<kRows * kBatch>([&]<int i>() { parts[i / kBatch][i % kBatch] = zero_sum(); });
      for (const std::size_t next = smaller_size(x.blocks, block + kRowGroup); block < next;
           ++block) {
        const std::size_t done = block * kFixedBlock;
        const std::int16_t* v = x.values + (block * x.batch + first) * kFixedBlock;
        __m256i w[kRows][4];
        unroll<kRows>([&]<int r>() {
          const std::uint8_t* indices = from + r * apart + done;
          prefetch_row(indices);
          decode_block(lookup, indices, task.index_columns - done, w[r]);
        });
#pragma GCC unroll 1
        for (int n = 0; n < kBatch; ++n, v += kFixedBlock) {
          unroll<4 * kRows>([&]<int i>() {
            constexpr int r = i % kRows;
            constexpr int part = i / kRows;
            parts[r][n] = dot(parts[r][n], w[r][part], load_pairs(v + 16 * part));
          });
        }
      }
      unroll<kRows * kBatch>([&]<int i>() {
        constexpr int r = i / kBatch;
        constexpr int n = i % kBatch;
        sums[r][n] += to_floats(parts[r][n]) * broadcast(scales[n]);
      });
    }
    for (std::size_t i = 0; i < kRows * kBatch; ++i) {
      const std::size_t n = i % kBatch;
      float* to = task.y + (first + n) * task.y_stride + row + i / kBatch * count;
      const float product = sum_lanes(sums[i / kBatch][n]) * task.table.scale;
      *to = task.accumulate ? *to + product : product;
    }
  }
}

template <typename Lookup>
static void fixed_rows_by(const RowTask& task, std::size_t begin, std::size_t end) {
  std::size_t n = 0;
  const auto advance = [&]<int kRows, int kBatch>() {
    const std::size_t count = (end - begin) / kRows;
    for (; n + kBatch <= task.x.batch; n += kBatch) {
      fixed_rows_of<Lookup, kRows, kBatch>(task, begin, count, n);
      if (begin + count * kRows < end) fixed_rows_of<Lookup, 1, kBatch>(task, end - 1, 1, n);
    }
  };
  advance.template operator()<2, 16>();
  advance.template operator()<1, 8>();
  advance.template operator()<1, 4>();
  advance.template operator()<2, 2>();
  advance.template operator()<2, 1>();
}

static void fixed_rows(const FixedTable& table, const std::uint8_t* indices,
                       std::size_t index_columns, std::size_t begin, std::size_t end,
                       const FixedInput& x, bool accumulate, float* y,
                       std::size_t y_stride) noexcept {
  const auto rows_by = table.form == TableForm::kShapes          ? fixed_rows_by<Shapes<false>>
                       : table.form == TableForm::kShapesAndEnds ? fixed_rows_by<Shapes<true>>
                                                                 : fixed_rows_by<Residuals>;
  rows_by({table, indices, index_columns, x, accumulate, y, y_stride}, begin, end);
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
          __builtin_prefetch(from + count, 0, 2);  // of the next panel piece
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
  table.row_batch = 16;
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
