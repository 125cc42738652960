#pragma once

#include <cstddef>

#include "base/thread_pool.h"
#include "kernels/codebook_state.h"

namespace helix {

// The ways y (batch, rows) = x (batch, columns) * weight^T + bias is computed. Arguments are
// checked.

// Row by row, for small batches.
void fixed_row_products(std::span<const CodebookProduct> products, const float* x,
                        std::size_t batch, ThreadPool& pool);
// F32 straight from codes, where state.half_tables are prepared.
void lookup_row_product(const CodebookMatrix::State& state, const float* x, std::size_t batch,
                        float* y, ThreadPool& pool);
void f32_row_product(const CodebookMatrix::State& state, const float* x, std::size_t batch,
                     float* y, ThreadPool& pool);
// Panels of rows, decoded once for the whole batch.
void fixed_tile_product(const CodebookMatrix::State& state, const float* x, std::size_t batch,
                        float* y, ThreadPool& pool);
void plane_tile_product(const CodebookMatrix::State& state, const float* x, std::size_t batch,
                        float* y, ThreadPool& pool);
// y = silu(gate * x) * (up * x) by tiles: matrices of one shape without bias and low-rank part.
void plane_gated_product(const CodebookMatrix::State& gate, const CodebookMatrix::State& up,
                         const float* x, std::size_t batch, float* y, ThreadPool& pool);
void f32_tile_product(const CodebookMatrix::State& state, const float* x, std::size_t batch,
                      float* y, ThreadPool& pool);

}  // namespace helix
