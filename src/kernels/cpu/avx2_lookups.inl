// Codebook lookups of avx2_kernels.cpp: decode_block(lookup, ...) with Residuals(table) or
// Shapes<form>(table).
//
// Codebook values have no 256-entry lookup here, and gathers are slow; a byte shuffle looks 16
// entries up. FixedTable has two forms of a codebook for that.
//
// Shapes: a line for every segment of 16 entries plus a multiple of a shape that eight segments
// share; one vpmaddubsw multiplies both. Rows of smooth codebooks. Lines that begin at whole
// multiples of their slopes take four instructions less.
//
// Residuals, for other codebooks and for panels: a byte plane of 256 residuals is 16 shuffles;
// together with an 8-bit base and an 8-bit multiplier per segment (one shuffle each) one vpmaddubsw
// makes the 16-bit value. A shuffle gives 0 where its index is negative, so the index within 64
// entries, lowered by 16 * h, asks segment h, and everything below 16 * h gets nothing; what the
// segments add to each other by exclusive or is stored, not what they hold. Blends join the four
// quarters. Blends alone would compete with the shuffles for the same two ports.

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

template <TableForm kForm>
struct Shapes {
  static constexpr bool kEnds = kForm == TableForm::kShapesAndEnds;
  static constexpr bool kShifts = kForm == TableForm::kShifts;

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
        ".if %c[shifts]\n\t"
        "vpshufb %1, %[base_low], %3\n\t"
        "vpaddb %3, %0, %0\n\t"
        ".endif\n\t"
        "vpshufb %1, %[slope], %3\n\t"
        "vpshufb %1, %[factor], %4\n\t"
        "vpunpcklbw %2, %0, %5\n\t"
        "vpunpckhbw %2, %0, %0\n\t"
        "vpunpcklbw %4, %3, %2\n\t"
        "vpunpckhbw %4, %3, %3\n\t"
        "vpmaddubsw %5, %2, %5\n\t"
        "vpmaddubsw %0, %3, %0\n\t"
        ".if !%c[shifts]\n\t"
        "vpshufb %1, %[base_low], %2\n\t"
        "vpshufb %1, %[base_high], %1\n\t"
        "vpunpcklbw %1, %2, %3\n\t"
        "vpunpckhbw %1, %2, %2\n\t"
        "vpaddw %3, %5, %5\n\t"
        "vpaddw %2, %0, %0\n\t"
        ".endif"
        : "+x"(indices), "=&x"(segment), "=&x"(a), "=&x"(b), "=&x"(c), "=&x"(d)
        : [base_low] "x"(base_low), [base_high] "x"(base_high), [slope] "x"(slope),
          [factor] "x"(factor), [lower] "x"(lower), [upper] "x"(upper),
          [first] "x"(kEnds ? first : lower), [last] "x"(kEnds ? last : upper),
          [nibble] "m"(kLowNibble), [top] "m"(kTopBit), [to_ends] "m"(kToEnds),
          [ends] "i"(kEnds ? 1 : 0), [shifts] "i"(kShifts ? 1 : 0));
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
