#include "kernels/product_tile.h"

#include <algorithm>
#include <bit>
#include <vector>

#include "kernels/scratch.h"

namespace helix {

namespace {

// Calls task(begin, end) for parts of [0, count) that shrink with what is left, within bounds.
void for_shrinking_parts(std::size_t count, std::size_t least, std::size_t most, ThreadPool& pool,
                         const std::function<void(std::size_t, std::size_t)>& task) {
  std::vector<std::size_t> ends = {0};
  while (ends.back() < count) {
    const std::size_t left = count - ends.back();
    const std::size_t share = std::clamp(left / (2 * pool.thread_count()), least, most);
    ends.push_back(ends.back() + std::min(left, share));
  }
  pool.run(ends.size() - 1, [&](std::size_t part) { task(ends[part], ends[part + 1]); });
}

}  // namespace

void for_row_parts(std::size_t rows, std::size_t row_bytes, ThreadPool& pool,
                   const std::function<void(std::size_t, std::size_t)>& task) {
  constexpr std::size_t kLeastBytes = std::size_t{1} << 17;
  const std::size_t least =
      std::max<std::size_t>(4, kLeastBytes / std::max<std::size_t>(1, row_bytes));
  for_shrinking_parts(rows, least, std::max(least, rows), pool, task);
}

void for_panel_groups(std::size_t rows, std::size_t panel_rows, std::size_t most, ThreadPool& pool,
                      const std::function<void(std::size_t, std::size_t)>& task) {
  for_shrinking_parts((rows - 1) / panel_rows + 1, 1, most, pool,
                      [&](std::size_t begin, std::size_t end) {
                        task(begin * panel_rows, std::min(rows, end * panel_rows));
                      });
}

void for_panels(std::size_t rows, std::size_t step, ThreadPool& pool,
                const std::function<void(std::size_t, std::size_t)>& task) {
  pool.run((rows + step - 1) / step,
           [&](std::size_t part) { task(part * step, std::min(rows, (part + 1) * step)); });
}

void store_tile(const float* tile, float scale, std::size_t panel_rows, std::size_t batch,
                std::size_t row, std::size_t rows, std::span<const float> bias, float* y,
                std::size_t y_stride) {
  for (std::size_t n = 0; n < batch; ++n) {
    const float* from = tile + n * panel_rows;
    float* to = y + n * y_stride + row;
    if (bias.empty()) {
      for (std::size_t r = 0; r < rows; ++r) to[r] = scale * from[r];
    } else {
      for (std::size_t r = 0; r < rows; ++r) to[r] = scale * from[r] + bias[row + r];
    }
  }
}

const float* packed_input(const float* x, std::size_t columns, std::size_t batch,
                          ThreadPool& pool) {
  thread_local Scratch memory;
  const std::size_t chunks = (columns + kColumnsAtOnce - 1) / kColumnsAtOnce;
  auto* packed = memory.get<float>(chunks * batch * kColumnsAtOnce);
  for_panels(batch, 8, pool, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      for (std::size_t i = 0; i < columns; i += kColumnsAtOnce) {
        std::copy_n(x + n * columns + i, std::min(kColumnsAtOnce, columns - i),
                    packed + i * batch + n * kColumnsAtOnce);
      }
    }
  });
  return packed;
}

void f32_panel_product(const KernelTable& kernels, const WeightRows& weights, std::size_t row,
                       std::size_t rows, const float* x, std::size_t batch, float* panel,
                       float* tile) {
  std::fill_n(tile, batch * kernels.panel_rows, 0.0F);
  for (std::size_t begin = 0; begin < weights.columns; begin += kColumnsAtOnce) {
    const std::size_t count = std::min(kColumnsAtOnce, weights.columns - begin);
    kernels.f32_panel(weights, row, rows, begin, count, panel);
    kernels.f32_multiply(panel, count, x + begin * batch, kColumnsAtOnce, batch, tile);
  }
}

void round_to_bf16(const float* in, std::size_t count, std::uint16_t* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto bits = std::bit_cast<std::uint32_t>(in[i]);
    const std::uint32_t rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
    const bool is_nan = (bits & 0x7fffffffU) > 0x7f800000U;
    out[i] = static_cast<std::uint16_t>(is_nan ? 0x7fc0U : rounded);
  }
}

}  // namespace helix
