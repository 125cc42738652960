// Attention of up to 64 query rows to one key head, tile by tile of 64 positions with a running
// maximum (Dao et al., FlashAttention, 2022), everything in F32. Included after f32_products.inl.

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
                   float* scores, float* maximum, float* sum) {
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
  const float before = *maximum;
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
  *sum = *sum * factor + sum_lanes(sums);
  *maximum = top;
  return factor;
}

static void attention(const AttentionTask& task) noexcept {
  const std::size_t padded = (task.head_dim + 31) / 32 * 32;
  float* queries = task.scratch;                             // (rows, padded)
  float* sums = queries + kAttentionRows * padded;           // (rows, padded)
  float* keys = sums + kAttentionRows * padded;              // (padded, tile), then transposed
  float* values = keys + kAttentionTile * padded;            // (tile, padded)
  float* scores = values + kAttentionTile * padded;          // (rows, tile)
  float* maxima = scores + kAttentionRows * kAttentionTile;  // (rows)
  float* totals = maxima + kAttentionRows;                   // (rows)
  for (std::size_t row = 0; row < task.rows; ++row) {
    const float* from = task.queries + task.row_offset[row];
    for (std::size_t i = 0; i < padded; ++i) {
      queries[row * padded + i] = i < task.head_dim ? from[i] : 0.0F;
      sums[row * padded + i] = 0.0F;
    }
    maxima[row] = -__builtin_inff();
    totals[row] = 0.0F;
  }
  for (std::size_t begin = task.position_begin; begin < task.position_end;
       begin += kAttentionTile) {
    const std::size_t count = smaller_size(kAttentionTile, task.position_end - begin);
    load_positions(task, task.keys, begin, count, values, padded);
    for (std::size_t i = 0; i < padded; i += kLanes) {
      for (std::size_t p = 0; p < kAttentionTile; p += kLanes) {
        transpose(values + p * padded + i, padded, keys + i * kAttentionTile + p, kAttentionTile);
      }
    }
    load_positions(task, task.values, begin, count, values, padded);
    for (std::size_t i = 0; i < task.rows * kAttentionTile; ++i) scores[i] = 0.0F;
    for (std::size_t p = 0; p < kAttentionTile; p += kPanelRows) {
      f32_tiles(keys + p, kAttentionTile, task.head_dim, queries, padded, task.rows, scores + p,
                kAttentionTile);
    }
    for (std::size_t row = 0; row < task.rows; ++row) {
      const float factor =
          weigh(task, row, begin, count, scores + row * kAttentionTile, maxima + row, totals + row);
      if (factor == 1.0F) continue;
      for (std::size_t i = 0; i < padded; ++i) sums[row * padded + i] *= factor;
    }
    for (std::size_t i = 0; i < padded; i += kPanelRows) {
      f32_tiles(values + i, padded, kAttentionTile, scores, kAttentionTile, task.rows, sums + i,
                padded);
    }
  }
  for (std::size_t row = 0; row < task.rows; ++row) {
    const float inverse = 1.0F / totals[row];
    float* to = task.out + task.row_offset[row];
    for (std::size_t i = 0; i < task.head_dim; ++i) to[i] = sums[row * padded + i] * inverse;
  }
}
