// Attention of up to 64 query rows to one key head, tile by tile of 64 positions with a running
// maximum (Dao et al., FlashAttention, 2022), everything in F32. Included after f32_products.inl.
//
// Many rows are worth a panel of the keys and floats of the values; few, as of one token, take both
// as they lie.
constexpr std::size_t kFewRows = 8;

// Floats of `count` positions from `begin`: rows of `stride` floats, zero beyond head_dim and
// count.
static void load_positions(const AttentionTask& task, const std::byte* from, std::size_t begin,
                           std::size_t count, float* to, std::size_t stride) {
  const std::size_t bytes = task.type == WeightType::kF32 ? 4 : 2;
  for (std::size_t p = 0; p < kAttentionTile; ++p) {
    const std::byte* row = from + (begin + p) * task.head_dim * bytes;
    for (std::size_t i = 0; i < stride; i += kLanes) {
      Vec v = {};
      if (p < count) {
        switch (task.type) {
          case WeightType::kF32: v = load_columns<WeightType::kF32>(row, i, task.head_dim); break;
          case WeightType::kF16: v = load_columns<WeightType::kF16>(row, i, task.head_dim); break;
          case WeightType::kBF16: v = load_columns<WeightType::kBF16>(row, i, task.head_dim); break;
        }
      }
      store(to + p * stride + i, v);
    }
  }
}

// Scores to weights in place; returns the factor by which what was summed before must shrink.
static float weigh(const AttentionTask& task, std::size_t row, std::size_t begin, std::size_t count,
                   float* scores) {
  constexpr int kVectors = kAttentionTile / kLanes;
  const float lowest = -__builtin_inff();
  // The positions seen, relative to `begin`.
  const std::size_t end = task.row_position[row] + 1;
  const std::size_t start = task.window == 0 || end <= task.window ? 0 : end - task.window;
  const std::size_t low = start > begin ? smaller_size(start - begin, kAttentionTile) : 0;
  const std::size_t high = end > begin ? smaller_size(end - begin, count) : 0;
  const bool whole = low == 0 && high == kAttentionTile;
  IntVec lane;
  for (int i = 0; i < kLanes; ++i) lane[i] = i;
  const auto seen = [&](int v) {
    const IntVec position = lane + v * kLanes;
    return (IntVec)(position >= static_cast<int>(low)) &
           (IntVec)(position < static_cast<int>(high));
  };
  Vec values[kVectors];
  Vec tops = broadcast(lowest);
  for (int v = 0; v < kVectors; ++v) {
    values[v] = load(scores + v * kLanes) * broadcast(task.scale);
    if (!whole) values[v] = select(seen(v), values[v], broadcast(lowest));
    tops = larger(values[v], tops);
  }
  const float before = task.maxima[row];
  const float tile_top = largest_lane(tops);
  const float top = tile_top > before ? tile_top : before;
  // Nothing seen so far: whatever is subtracted, all weights become zero.
  const Vec shift = broadcast(top == lowest ? 0.0F : top);
  Vec sums = {};
  for (int v = 0; v < kVectors; ++v) {
    Vec weight = exponential(values[v] - shift);
    if (!whole) weight = select(seen(v), weight, Vec{});
    sums += weight;
    store(scores + v * kLanes, weight);
  }
  float factor = 1.0F;
  if (top != before) factor = before == lowest ? 0.0F : exponential(broadcast(before - top))[0];
  task.totals[row] = task.totals[row] * factor + sum_lanes(sums);
  task.maxima[row] = top;
  return factor;
}

// sums (rows, padded) += scores (rows, tile) * `count` rows of values.
template <WeightType kType, int kRows>
static void few_values_of(const AttentionTask& task, std::size_t begin, std::size_t count,
                          const float* scores, float* sums, std::size_t padded) {
  const std::size_t row_bytes = task.head_dim * weight_bytes<kType>();
  const std::byte* from = task.values + begin * row_bytes;
  for (std::size_t i = 0; i < task.head_dim; i += kPanelRows) {
    Vec first[kRows];
    Vec second[kRows];
    for (int n = 0; n < kRows; ++n) {
      first[n] = load(sums + n * padded + i);
      second[n] = load(sums + n * padded + i + kLanes);
    }
    for (std::size_t p = 0; p < count; ++p) {
      const Vec v0 = load_columns<kType>(from + p * row_bytes, i, task.head_dim);
      const Vec v1 = load_columns<kType>(from + p * row_bytes, i + kLanes, task.head_dim);
      for (int n = 0; n < kRows; ++n) {
        const Vec score = broadcast(scores[n * kAttentionTile + p]);
        first[n] += v0 * score;
        second[n] += v1 * score;
      }
    }
    for (int n = 0; n < kRows; ++n) {
      store(sums + n * padded + i, first[n]);
      store(sums + n * padded + i + kLanes, second[n]);
    }
  }
}

template <WeightType kType>
static void few_values(const AttentionTask& task, std::size_t begin, std::size_t count,
                       const float* scores, float* sums, std::size_t padded) {
  std::size_t row = 0;
  const auto advance = [&]<int kRows>() {
    for (; row + kRows <= task.rows; row += kRows) {
      few_values_of<kType, kRows>(task, begin, count, scores + row * kAttentionTile,
                                  sums + row * padded, padded);
    }
  };
  advance.template operator()<4>();
  advance.template operator()<3>();
  advance.template operator()<2>();
  advance.template operator()<1>();
}

// scores (rows, tile) = queries (rows, padded) * keys^T
template <WeightType kType>
static void few_scores(const AttentionTask& task, std::size_t begin, std::size_t count,
                       const float* queries, std::size_t padded, float* memory, float* scores) {
  const std::size_t row_bytes = task.head_dim * weight_bytes<kType>();
  for (std::size_t first = 0; first < count; first += kLanes) {
    for (std::size_t p = 0; p < kLanes; ++p) {
      const std::size_t position = begin + smaller_size(first + p, count - 1);
      const std::byte* row = task.keys + position * row_bytes;
      for (std::size_t i = 0; i < task.head_dim; i += kLanes) {
        store(memory + p * padded + i, load_columns<kType>(row, i, task.head_dim));
      }
    }
    for (std::size_t row = 0; row < task.rows; ++row) {
      Vec parts[kLanes];
      unroll<kLanes>([&]<int p>() { parts[p] = Vec{}; });
      for (std::size_t i = 0; i < task.head_dim; i += kLanes) {
        const Vec q = load(queries + row * padded + i);
        unroll<kLanes>([&]<int p>() { parts[p] += q * load(memory + p * padded + i); });
      }
      store(scores + row * kAttentionTile + first, sum_each(parts));
    }
  }
}

// Both by panels; `memory` has room for two tiles of positions.
static void many_scores(const AttentionTask& task, std::size_t begin, std::size_t count,
                        const float* queries, std::size_t padded, float* memory, float* scores) {
  float* keys = memory;                                 // (padded, tile)
  float* positions = memory + kAttentionTile * padded;  // (tile, padded)
  load_positions(task, task.keys, begin, count, positions, padded);
  for (std::size_t i = 0; i < padded; i += kLanes) {
    for (std::size_t p = 0; p < kAttentionTile; p += kLanes) {
      transpose(positions + p * padded + i, padded, keys + i * kAttentionTile + p, kAttentionTile);
    }
  }
  for (std::size_t i = 0; i < task.rows * kAttentionTile; ++i) scores[i] = 0.0F;
  for (std::size_t p = 0; p < kAttentionTile; p += kPanelRows) {
    f32_tiles(keys + p, kAttentionTile, task.head_dim, queries, padded, task.rows, scores + p,
              kAttentionTile);
  }
}

static void many_values(const AttentionTask& task, std::size_t begin, std::size_t count,
                        const float* scores, std::size_t padded, float* memory, float* sums) {
  load_positions(task, task.values, begin, count, memory, padded);
  for (std::size_t i = 0; i < padded; i += kPanelRows) {
    f32_tiles(memory + i, padded, kAttentionTile, scores, kAttentionTile, task.rows, sums + i,
              padded);
  }
}

static void attention(const AttentionTask& task) noexcept {
  const bool few = task.rows <= kFewRows;
  const std::size_t padded = (task.head_dim + 31) / 32 * 32;
  float* queries = task.scratch;                    // (rows, padded)
  float* sums = queries + kAttentionRows * padded;  // (rows, padded)
  float* scores = sums + kAttentionRows * padded;   // (rows, tile)
  float* memory = scores + kAttentionRows * kAttentionTile;
  for (std::size_t row = 0; row < task.rows; ++row) {
    const float* from = task.queries + task.query_offset[row];
    for (std::size_t i = 0; i < padded; ++i) {
      queries[row * padded + i] = i < task.head_dim ? from[i] : 0.0F;
      sums[row * padded + i] = 0.0F;
    }
    task.maxima[row] = -__builtin_inff();
    task.totals[row] = 0.0F;
  }
  for (std::size_t begin = task.position_begin; begin < task.position_end;
       begin += kAttentionTile) {
    const std::size_t count = smaller_size(kAttentionTile, task.position_end - begin);
    if (few) {
      with_type(task.type, [&]<WeightType kType>() {
        few_scores<kType>(task, begin, count, queries, padded, memory, scores);
      });
    } else {
      many_scores(task, begin, count, queries, padded, memory, scores);
    }
    for (std::size_t row = 0; row < task.rows; ++row) {
      const float factor = weigh(task, row, begin, count, scores + row * kAttentionTile);
      if (factor == 1.0F) continue;
      for (std::size_t i = 0; i < padded; ++i) sums[row * padded + i] *= factor;
    }
    if (few) {
      with_type(task.type, [&]<WeightType kType>() {
        few_values<kType>(task, begin, count, scores, sums, padded);
      });
    } else {
      many_values(task, begin, count, scores, padded, memory, sums);
    }
  }
  for (std::size_t row = 0; row < task.rows; ++row) {
    const float inverse = 1.0F / task.totals[row];
    float* to = task.out + task.out_offset[row];
    for (std::size_t i = 0; i < task.head_dim; ++i) to[i] = sums[row * padded + i] * inverse;
  }
}
