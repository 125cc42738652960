#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/codebook_state.h"

namespace helix {

// x as the products want it. The pointers stay valid until the calling thread prepares the next x.

// x divided by channel_scales: x itself where there are none.
const float* scaled_input(const CodebookMatrix::State& state, const float* x, std::size_t batch,
                          ThreadPool& pool);

// One fixed-point input per component of the codebook's vectors.
std::vector<FixedInput> fixed_input(const CodebookMatrix::State& state, const float* x,
                                    std::size_t batch, FixedUse use, ThreadPool& pool);

// x for byte tiles: the pieces of every component of the codebook's vectors, one component after
// the other.
std::vector<PlaneInput> plane_input(const CodebookMatrix::State& state, const float* x,
                                    std::size_t batch, ThreadPool& pool);

// s * Vt x (batch, rank) of the low-rank part that old files have; empty where there is none. `x`
// is scaled.
std::vector<double> low_rank_input(const CodebookMatrix::State& state, const float* x,
                                   std::size_t batch);

// Adds bias and low-rank part to rows [begin, end) of y.
void add_bias_and_low_rank(const CodebookMatrix::State& state, const std::vector<double>& low_rank,
                           std::size_t begin, std::size_t end, std::size_t batch, float* y);

}  // namespace helix
