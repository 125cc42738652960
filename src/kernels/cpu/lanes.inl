// Vectors of kLanes floats by the compilers' own vector types. Included inside the namespace of one
// instruction set, after kLanes and kRowsAhead are defined; everything here is static, because every
// instruction set has its own.

typedef float Vec __attribute__((vector_size(kLanes * 4)));
typedef std::int32_t IntVec __attribute__((vector_size(kLanes * 4)));
typedef std::uint16_t HalfVec __attribute__((vector_size(kLanes * 2)));
typedef std::uint32_t WordVec __attribute__((vector_size(kLanes * 4)));
typedef float HalfFloats __attribute__((vector_size(kLanes * 2)));
typedef double DoubleVec __attribute__((vector_size(kLanes * 4)));
typedef std::uint64_t LongVec __attribute__((vector_size(kLanes * 4)));

// Provided by the file that includes this one: kLanes half floats; a square of kLanes x kLanes
// floats.
static inline Vec load_half(const std::byte* from);
static inline void transpose(const float* in, std::size_t in_stride, float* out,
                             std::size_t out_stride);

// body.operator()<0>() ... body.operator()<kCount - 1>(): unrolled before anything else, so that
// arrays of vectors become registers.
template <typename Body, int... kIndices>
static inline void unroll_list(const Body& body, std::integer_sequence<int, kIndices...>) {
  (body.template operator()<kIndices>(), ...);
}

template <int kCount, typename Body>
static inline void unroll(const Body& body) {
  unroll_list(body, std::make_integer_sequence<int, kCount>());
}

static inline Vec load(const void* from) {
  Vec v;
  __builtin_memcpy(&v, from, sizeof(v));
  return v;
}

static inline void store(void* to, Vec v) { __builtin_memcpy(to, &v, sizeof(v)); }

static inline Vec broadcast(float value) { return value - Vec{}; }

static inline Vec select(IntVec condition, Vec yes, Vec no) { return condition ? yes : no; }

static inline Vec larger(Vec a, Vec b) { return select((IntVec)(a > b), a, b); }

// Asks for what a stream of weights comes to kRowsAhead bytes later; nothing where that is 0, because
// the processor does it better itself.
static inline void prefetch_row(const void* at) {
  if constexpr (kRowsAhead > 0) {
    __builtin_prefetch(static_cast<const std::byte*>(at) + kRowsAhead);
  }
}

static inline float smaller_of(float a, float b) { return a < b ? a : b; }

static inline std::size_t smaller_size(std::size_t a, std::size_t b) { return a < b ? a : b; }

#if defined(__AVX512F__)

static inline float sum_lanes(Vec v) { return _mm512_reduce_add_ps((__m512)v); }
static inline float largest_lane(Vec v) { return _mm512_reduce_max_ps((__m512)v); }
// from[order[0]], from[order[1]], ...; every column order keeps runs of eight columns together.
static inline Vec load_ordered(const float* from, const std::uint8_t* order) {
  const __m512 low = _mm512_castps256_ps512(_mm256_loadu_ps(from + order[0]));
  return (Vec)_mm512_insertf32x8(low, _mm256_loadu_ps(from + order[8]), 1);
}

#else

static inline Vec load_ordered(const float* from, const std::uint8_t* order) {
  return load(from + order[0]);
}

static inline float sum_lanes(Vec v) {
  auto four = __builtin_shufflevector(v, v, 0, 1, 2, 3);
  if (kLanes == 8) four += __builtin_shufflevector(v, v, 4, 5, 6, 7);
  four += __builtin_shufflevector(four, four, 2, 3, 0, 1);
  return four[0] + four[1];
}

static inline float largest_lane(Vec v) {
  float lanes[kLanes];
  store(lanes, v);
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) {
      lanes[i] = lanes[i] > lanes[i + width] ? lanes[i] : lanes[i + width];
    }
  }
  return lanes[0];
}

#endif

// Lane i of a pair (i / kSpan % 2 == 0) or (== 1): of a, or of b, the sum of two lanes kSpan apart.
template <int kSpan>
constexpr int lane_to_fold(int lane, bool second) {
  const int within = lane % (2 * kSpan);
  return lane - within + within % kSpan + (within < kSpan ? 0 : kLanes) + (second ? kSpan : 0);
}

template <int kSpan, int... kLane>
static inline Vec fold(Vec a, Vec b, std::integer_sequence<int, kLane...>) {
  return __builtin_shufflevector(a, b, lane_to_fold<kSpan>(kLane, false)...) +
         __builtin_shufflevector(a, b, lane_to_fold<kSpan>(kLane, true)...);
}

// Lane i is the sum of the lanes of parts[i]; the parts are lost.
template <int kSpan = 1>
static inline Vec sum_each(Vec* parts) {
  if constexpr (kSpan == kLanes) {
    return parts[0];
  } else {
    unroll<kLanes / (2 * kSpan)>([&]<int i>() {
      parts[i] = fold<kSpan>(parts[2 * i], parts[2 * i + 1],
                             std::make_integer_sequence<int, kLanes>());
    });
    return sum_each<2 * kSpan>(parts);
  }
}

// The first `count` < kLanes floats, the rest `fill`.
static inline Vec load_part(const float* from, std::size_t count, float fill) {
  float lanes[kLanes];
  for (int i = 0; i < kLanes; ++i) lanes[i] = fill;
  for (std::size_t i = 0; i < count; ++i) lanes[i] = from[i];
  return load(lanes);
}

static inline void store_part(float* to, Vec v, std::size_t count) {
  float lanes[kLanes];
  store(lanes, v);
  for (std::size_t i = 0; i < count; ++i) to[i] = lanes[i];
}

// e^x within 2 units in the last place for x in [-87, 88]; smaller x give about 1e-38, larger ones
// infinity, NaN stays NaN. Argument reduction and polynomial as in Cephes' expf.
static inline Vec exponential(Vec x) {
  const Vec low = broadcast(-87.3F);
  const Vec clamped = select((IntVec)(x < low), low, x);
  const Vec magic = broadcast(12582912.0F);  // 1.5 * 2^23: adding it rounds to an integer
  const Vec shifted = clamped * broadcast(1.44269504F) + magic;
  const Vec n = shifted - magic;
  Vec r = clamped - n * broadcast(0.693359375F);
  r = r - n * broadcast(-2.12194440e-4F);
  Vec p = broadcast(1.9875691500e-4F);
  p = p * r + broadcast(1.3981999507e-3F);
  p = p * r + broadcast(8.3334519073e-3F);
  p = p * r + broadcast(4.1665795894e-2F);
  p = p * r + broadcast(1.6666665459e-1F);
  p = p * r + broadcast(5.0000001201e-1F);
  p = p * r * r + r + broadcast(1.0F);
  const WordVec exponent = ((WordVec)shifted - (WordVec)magic) << 23;
  const Vec result = (Vec)((WordVec)p + exponent);
  const Vec beyond = broadcast(__builtin_inff()) + x;  // NaN where x is
  return select((IntVec)(x <= broadcast(88.0F)), result, beyond);
}

// e^x within 1e-15 of itself for x in [-708, 709]; smaller x give 0, NaN stays NaN. The Taylor
// polynomial after the same reduction.
static inline DoubleVec exponential(DoubleVec x) {
  constexpr double kFactors[] = {1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880,
                                 1.0 / 40320,     1.0 / 5040,     1.0 / 720,     1.0 / 120,
                                 1.0 / 24,        1.0 / 6,        1.0 / 2,       1.0,
                                 1.0};
  const double magic = 6755399441055744.0;  // 1.5 * 2^52
  const DoubleVec shifted = x * 1.4426950408889634 + magic;
  const DoubleVec n = shifted - magic;
  const DoubleVec r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
  DoubleVec p = kFactors[0] - DoubleVec{};
  for (int i = 1; i < 13; ++i) p = p * r + kFactors[i];
  const LongVec exponent = ((LongVec)shifted - (LongVec)(magic - DoubleVec{})) << 52;
  return x < -708.0 ? DoubleVec{} : (DoubleVec)((LongVec)p + exponent);
}

// Weights of any type as floats.
template <WeightType kType>
static inline Vec load_weights(const std::byte* from) {
  if constexpr (kType == WeightType::kF32) {
    return load(from);
  } else if constexpr (kType == WeightType::kBF16) {
    HalfVec half;
    __builtin_memcpy(&half, from, sizeof(half));
    return (Vec)(__builtin_convertvector(half, WordVec) << 16);
  } else {
    return load_half(from);
  }
}

template <WeightType kType>
static inline float load_weight(const std::byte* from) {
  constexpr std::size_t kBytes = kType == WeightType::kF32 ? 4 : 2;
  alignas(64) std::byte bytes[kLanes * 4] = {};
  __builtin_memcpy(bytes, from, kBytes);
  float lanes[kLanes];
  store(lanes, load_weights<kType>(bytes));
  return lanes[0];
}

template <WeightType kType>
constexpr std::size_t weight_bytes() {
  return kType == WeightType::kF32 ? 4 : 2;
}

// call.operator()<type>()
template <typename Call>
static inline void with_type(WeightType type, const Call& call) {
  switch (type) {
    case WeightType::kF32: return call.template operator()<WeightType::kF32>();
    case WeightType::kF16: return call.template operator()<WeightType::kF16>();
    case WeightType::kBF16: return call.template operator()<WeightType::kBF16>();
  }
}
