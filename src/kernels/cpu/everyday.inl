// Norms, activations, softmax: one row at a time. Included after lanes.inl.

static void rms_norm(const float* x, const float* weight, std::size_t size, float epsilon,
                     float* out) noexcept {
  Vec sums = {};
  std::size_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    const Vec v = load(x + i);
    sums += v * v;
  }
  if (i < size) {
    const Vec v = load_part(x + i, size - i, 0.0F);
    sums += v * v;
  }
  const float mean = sum_lanes(sums) / static_cast<float>(size);
  const float factor = 1.0F / __builtin_sqrtf(mean + epsilon);
  for (i = 0; i < size; ++i) out[i] = weight[i] * (x[i] * factor);
}

static float largest(const float* x, std::size_t size) {
  const float lowest = -__builtin_inff();
  Vec best = broadcast(lowest);
  std::size_t i = 0;
  for (; i + kLanes <= size; i += kLanes) best = larger(load(x + i), best);
  if (i < size) best = larger(load_part(x + i, size - i, lowest), best);
  return largest_lane(best);
}

static void softmax(const float* x, std::size_t size, float* out) noexcept {
  const Vec top = broadcast(largest(x, size));
  Vec sums = {};
  std::size_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    const Vec e = exponential(load(x + i) - top);
    sums += e;
    store(out + i, e);
  }
  float sum = sum_lanes(sums);
  if (i < size) {
    store_part(out + i, exponential(load_part(x + i, size - i, 0.0F) - top), size - i);
    for (; i < size; ++i) sum += out[i];
  }
  const float factor = 1.0F / sum;
  for (i = 0; i < size; ++i) out[i] *= factor;
}

// x[i], x[i + 1], ...: kLanes / 2 numbers in F64, `fill` past the end.
static inline DoubleVec load_doubles(const float* x, std::size_t i, std::size_t size, float fill) {
  HalfFloats numbers = fill - HalfFloats{};
  if (i + kLanes / 2 <= size) {
    __builtin_memcpy(&numbers, x + i, sizeof(numbers));
  } else {
    __builtin_memcpy(&numbers, x + i, (size - i) * sizeof(*x));
  }
  return __builtin_convertvector(numbers, DoubleVec);
}

static inline double sum_doubles(DoubleVec v) {
  double sum = 0.0;
  for (int i = 0; i < kLanes / 2; ++i) sum += v[i];
  return sum;
}

static double log_sum_exp(const float* x, std::size_t size) noexcept {
  const double top = static_cast<double>(largest(x, size));
  DoubleVec sums = {};
  for (std::size_t i = 0; i < size; i += kLanes / 2) {
    sums += exponential(load_doubles(x, i, size, -__builtin_inff()) - top);
  }
  return top + __builtin_log(sum_doubles(sums));
}

static double divergence(const float* reference, double reference_log_sum, const float* x,
                         double log_sum, std::size_t size) noexcept {
  DoubleVec sums = {};
  for (std::size_t i = 0; i < size; i += kLanes / 2) {
    const DoubleVec log_p = load_doubles(reference, i, size, -__builtin_inff()) - reference_log_sum;
    const DoubleVec log_q = load_doubles(x, i, size, 0.0F) - log_sum;
    const DoubleVec p = exponential(log_p);
    sums += p == 0.0 ? DoubleVec{} : p * (log_p - log_q);
  }
  const double sum = sum_doubles(sums);
  return sum < 0.0 ? 0.0 : sum;  // rounding
}

static inline Vec silu(Vec v) { return v / (broadcast(1.0F) + exponential(-v)); }

static void silu_multiply(const float* gate, const float* up, std::size_t size,
                          float* out) noexcept {
  std::size_t i = 0;
  for (; i + kLanes <= size; i += kLanes) store(out + i, silu(load(gate + i)) * load(up + i));
  if (i < size) {
    const Vec last = silu(load_part(gate + i, size - i, 0.0F)) * load_part(up + i, size - i, 0.0F);
    store_part(out + i, last, size - i);
  }
}

static void add(const float* x, std::size_t size, float* sum) noexcept {
  for (std::size_t i = 0; i < size; ++i) sum[i] += x[i];
}

static void rope(float* head, const float* cosines, const float* sines, std::size_t half) noexcept {
  for (std::size_t i = 0; i < half; ++i) {
    const float first = head[i];
    const float second = head[i + half];
    head[i] = first * cosines[i] - second * sines[i];
    head[i + half] = second * cosines[i] + first * sines[i];
  }
}

// The columns of one group: blocks of 64 floats, multiplied by `factors` unless that is null.
struct ColumnGroup {
  const float* columns[kRowGroup > kPanelGroup ? kRowGroup : kPanelGroup];
  const float* factors;
  std::size_t blocks;
  const std::uint8_t* order;

  // Positions [at, at + kLanes) of a block.
  Vec load(std::size_t block, std::size_t at) const {
    const Vec v = load_ordered(columns[block], order + at);
    return factors == nullptr ? v : v * load_ordered(factors + block * kFixedBlock, order + at);
  }
};

// What the 16-bit numbers of a group are multiples of, so that they keep FixedInput's bounds. NaN
// where a number is not finite.
static inline float group_scale(const ColumnGroup& group, FixedUse use) {
  Vec totals[2] = {};  // of the positions that fall into the two halves of a vector of 16 bits
  Vec peaks = {};
  for (std::size_t block = 0; block < group.blocks; ++block) {
    for (std::size_t i = 0; i < kFixedBlock; i += 2 * kLanes) {
      for (int half = 0; half < 2; ++half) {
        const Vec v = group.load(block, i + half * kLanes);
        const Vec magnitude = select((IntVec)(v < Vec{}), -v, v);
        totals[half] += magnitude;
        peaks = larger(magnitude, peaks);
      }
    }
  }
  const float total = sum_lanes(totals[0] + totals[1]);
  if (total - total != 0.0F) return __builtin_nanf("");
  // Two neighbouring positions share a lane of 32 bits.
  const float summed = use == FixedUse::kPanel ? total / kPanelGroup
                                               : 2.0F * largest_lane(larger(totals[0], totals[1]));
  const float by_sum = summed * (1.0F / 65000.0F);
  const float by_peak = largest_lane(peaks) * (1.0F / 32767.0F);
  return by_peak > by_sum ? by_peak : by_sum;
}

static void round_block(const ColumnGroup& group, std::size_t block, float inverse,
                        std::int16_t* values) {
  const Vec factor = broadcast(inverse);
  const Vec magic = broadcast(12582912.0F);  // 1.5 * 2^23: adding it rounds to an integer
  for (std::size_t i = 0; i < kFixedBlock; i += kLanes) {
    const IntVec rounded = (IntVec)(group.load(block, i) * factor + magic) - (IntVec)magic;
    const HalfVec narrow = __builtin_convertvector((WordVec)rounded, HalfVec);
    __builtin_memcpy(values + i, &narrow, sizeof(narrow));
  }
}

// Every `vector_size`-th column from `begin` on, scaled, zero past the end.
static void read_block(const float* x, const float* inverse_scales, std::size_t begin,
                       std::size_t count, std::size_t vector_size, float* block) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t column = (begin + i) * vector_size;
    block[i] = x[column] * (inverse_scales == nullptr ? 1.0F : inverse_scales[column]);
  }
  for (std::size_t i = count; i < kFixedBlock; ++i) block[i] = 0.0F;
}

static void quantize(const float* x, const float* inverse_scales, std::size_t index_columns,
                     std::size_t vector_size, const std::uint8_t* column_order, FixedUse use,
                     std::int16_t* values, std::size_t value_stride, float* scales,
                     std::size_t scale_stride) noexcept {
  const std::size_t width = kFixedBlock * (use == FixedUse::kRows ? kRowGroup : kPanelGroup);
  alignas(64) float copies[sizeof(ColumnGroup::columns) / sizeof(float*)][kFixedBlock];
  for (std::size_t begin = 0; begin < index_columns; begin += width, scales += scale_stride) {
    const std::size_t count = smaller_size(width, index_columns - begin);
    const bool plain = vector_size == 1 && count % kFixedBlock == 0;
    ColumnGroup group = {};
    group.order = column_order;
    group.factors = plain && inverse_scales != nullptr ? inverse_scales + begin : nullptr;
    for (std::size_t done = 0; done < count; done += kFixedBlock, ++group.blocks) {
      float* copy = copies[group.blocks];
      group.columns[group.blocks] = plain ? x + begin + done : copy;
      if (plain) continue;
      read_block(x, inverse_scales, begin + done, smaller_size(kFixedBlock, count - done),
                 vector_size, copy);
    }
    *scales = group_scale(group, use);
    // Below 1e-37 the inverse would not be finite.
    const bool usable = *scales >= 1e-37F;
    for (std::size_t i = 0; i < group.blocks; ++i, values += value_stride) {
      if (usable) {
        round_block(group, i, 1.0F / *scales, values);
      } else {
        __builtin_memset(values, 0, kFixedBlock * sizeof(*values));
      }
    }
  }
}
