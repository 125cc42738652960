#include "kernels/product_tile.h"

#include <algorithm>
#include <bit>
#include <vector>

#include "kernels/scratch.h"

namespace helix {

namespace {

struct Part {
  std::size_t matrix, begin, end;
};

// Parts of the matrices, in order, that shrink with the bytes that are left.
std::vector<Part> shrinking_parts(std::span<const RowsOfBytes> matrices, std::size_t threads,
                                  std::size_t least_bytes, std::size_t least_rows,
                                  std::size_t most_rows) {
  std::vector<Part> parts;
  std::size_t bytes_left = 0;
  for (const auto& [rows, row_bytes] : matrices) bytes_left += rows * row_bytes;
  for (std::size_t i = 0; i < matrices.size(); ++i) {
    const auto [rows, row_bytes] = matrices[i];
    for (std::size_t begin = 0; begin < rows; begin = parts.back().end) {
      const std::size_t share = std::max(least_bytes, bytes_left / (2 * threads));
      const std::size_t count =
          std::min(rows - begin,
                   std::clamp(share / std::max<std::size_t>(1, row_bytes), least_rows, most_rows));
      parts.push_back({i, begin, begin + count});
      bytes_left -= count * row_bytes;
    }
  }
  return parts;
}

}  // namespace

void for_row_parts(std::span<const RowsOfBytes> matrices, ThreadPool& pool,
                   const std::function<void(std::size_t, std::size_t, std::size_t)>& task) {
  const auto parts =
      shrinking_parts(matrices, pool.thread_count(), std::size_t{1} << 17, 4, SIZE_MAX);
  pool.run(parts.size(),
           [&](std::size_t part) { task(parts[part].matrix, parts[part].begin, parts[part].end); });
}

void for_row_parts(std::size_t rows, std::size_t row_bytes, ThreadPool& pool,
                   const std::function<void(std::size_t, std::size_t)>& task) {
  const RowsOfBytes matrix = {rows, row_bytes};
  for_row_parts(std::span(&matrix, 1), pool,
                [&](std::size_t, std::size_t begin, std::size_t end) { task(begin, end); });
}

void for_panel_groups(std::size_t rows, std::size_t panel_rows, std::size_t most, ThreadPool& pool,
                      const std::function<void(std::size_t, std::size_t)>& task) {
  const RowsOfBytes panels = {(rows - 1) / panel_rows + 1, 1};
  const auto parts = shrinking_parts(std::span(&panels, 1), pool.thread_count(), 1, 1, most);
  pool.run(parts.size(), [&](std::size_t part) {
    task(parts[part].begin * panel_rows, std::min(rows, parts[part].end * panel_rows));
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
