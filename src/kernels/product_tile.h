#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "base/thread_pool.h"
#include "kernels/cpu/kernel_table.h"

namespace helix {

// What codebook and dense products share: how rows are split, and how finished tiles become y.

inline constexpr std::size_t kColumnsAtOnce = 256;  // of an F32 panel: 32 KiB

struct RowsOfBytes {
  std::size_t rows;
  std::size_t row_bytes;
};
// Calls task(i, begin, end) for parts of [0, rows) of the i-th matrix: large ones first, because
// every start of a stream costs about a microsecond of memory latency, then smaller ones down to
// 128 KiB of weights, so that all threads end together.
void for_row_parts(std::span<const RowsOfBytes> matrices, ThreadPool& pool,
                   const std::function<void(std::size_t, std::size_t, std::size_t)>& task);
void for_row_parts(std::size_t rows, std::size_t row_bytes, ThreadPool& pool,
                   const std::function<void(std::size_t, std::size_t)>& task);

// Calls task(begin, end) for parts of up to `most` panels of `panel_rows` rows: large ones first,
// then smaller ones, so that all threads end together.
void for_panel_groups(std::size_t rows, std::size_t panel_rows, std::size_t most, ThreadPool& pool,
                      const std::function<void(std::size_t, std::size_t)>& task);

// Calls task(begin, end) for parts of `step` rows, the last one shorter.
void for_panels(std::size_t rows, std::size_t step, ThreadPool& pool,
                const std::function<void(std::size_t, std::size_t)>& task);

// y[n * y_stride + row + r] = scale * tile[n * panel_rows + r] + bias (where there is one).
void store_tile(const float* tile, float scale, std::size_t panel_rows, std::size_t batch,
                std::size_t row, std::size_t rows, std::span<const float> bias, float* y,
                std::size_t y_stride);

// x (batch, columns) as (columns / kColumnsAtOnce rounded up, batch, kColumnsAtOnce): rows of a
// power of two bytes would fall into the same sets of the first-level cache. Valid until the
// calling thread packs the next x.
const float* packed_input(const float* x, std::size_t columns, std::size_t batch, ThreadPool& pool);

// tile (batch, panel_rows) = packed x times `rows` rows of F32, F16 or BF16 weights.
// `panel` has room for kColumnsAtOnce * panel_rows floats.
void f32_panel_product(const KernelTable& kernels, const WeightRows& weights, std::size_t row,
                       std::size_t rows, const float* x, std::size_t batch, float* panel,
                       float* tile);

// out[i] = in[i] rounded to BF16.
void round_to_bf16(const float* in, std::size_t count, std::uint16_t* out);

}  // namespace helix
