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

static double log_sum_exp(const float* x, std::size_t size) noexcept {
  const float top = largest(x, size);
  double total = 0.0;
  for (std::size_t begin = 0; begin < size; begin += 16 * kLanes) {
    const std::size_t end = smaller_size(size, begin + 16 * kLanes);
    Vec sums = {};
    for (std::size_t i = begin; i < end; i += kLanes) {
      const Vec v = i + kLanes <= end ? load(x + i) : load_part(x + i, end - i, -__builtin_inff());
      const IntVec real = (IntVec)(v > broadcast(-__builtin_inff())) | (IntVec)(v != v);
      sums += select(real, exponential(v - broadcast(top)), Vec{});
    }
    total += static_cast<double>(sum_lanes(sums));
  }
  return static_cast<double>(top) + __builtin_log(total);
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

// The scale of a block whose magnitudes sum to `total` with `peak` the largest. NaN, which only the
// sum is sure to show, stays NaN.
static inline float block_scale(float total, float peak) {
  const float by_total = total * (1.0F / 65000.0F);
  const float by_peak = peak * (1.0F / 32767.0F);
  return by_peak > by_total ? by_peak : by_total;
}

// Every column order keeps runs of eight columns together.
static void quantize_block(const float* block, const std::uint8_t* column_order,
                           std::int16_t* values, float* scale) {
  Vec totals = {};
  Vec peaks = {};
  for (std::size_t i = 0; i < kFixedBlock; i += kLanes) {
    const Vec v = load(block + i);
    const Vec magnitude = select((IntVec)(v < Vec{}), -v, v);
    totals += magnitude;
    peaks = larger(magnitude, peaks);
  }
  const float found = block_scale(sum_lanes(totals), largest_lane(peaks));
  // Not finite: no number stands for the block. Below 1e-37 its inverse would not be finite.
  *scale = found - found == 0.0F ? found : __builtin_nanf("");
  const bool usable = found >= 1e-37F && found - found == 0.0F;
  const Vec inverse = broadcast(usable ? 1.0F / found : 0.0F);
  const Vec magic = broadcast(12582912.0F);  // 1.5 * 2^23: adding it rounds to an integer
  std::uint16_t whole[kFixedBlock];
  for (std::size_t i = 0; i < kFixedBlock; i += kLanes) {
    const Vec v = usable ? load(block + i) : Vec{};
    const IntVec rounded = (IntVec)(v * inverse + magic) - (IntVec)magic;
    const HalfVec narrow = __builtin_convertvector((WordVec)rounded, HalfVec);
    __builtin_memcpy(whole + i, &narrow, sizeof(narrow));
  }
  for (std::size_t run = 0; run < kFixedBlock; run += 8) {
    __builtin_memcpy(values + run, whole + column_order[run], 16);
  }
}

static void quantize(const float* x, const float* inverse_scales, std::size_t index_columns,
                     std::size_t vector_size, const std::uint8_t* column_order,
                     std::int16_t* values, std::size_t value_stride, float* scales,
                     std::size_t scale_stride) noexcept {
  for (std::size_t begin = 0; begin < index_columns; begin += kFixedBlock) {
    const std::size_t count = smaller_size(kFixedBlock, index_columns - begin);
    float block[kFixedBlock];
    const float* from = block;
    if (vector_size == 1 && inverse_scales == nullptr && count == kFixedBlock) {
      from = x + begin;
    } else if (vector_size == 1 && count == kFixedBlock) {
      for (std::size_t i = 0; i < kFixedBlock; ++i) {
        block[i] = x[begin + i] * inverse_scales[begin + i];
      }
    } else {
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t column = (begin + i) * vector_size;
        block[i] = x[column] * (inverse_scales == nullptr ? 1.0F : inverse_scales[column]);
      }
      for (std::size_t i = count; i < kFixedBlock; ++i) block[i] = 0.0F;
    }
    quantize_block(from, column_order, values, scales);
    values += value_stride;
    scales += scale_stride;
  }
}
