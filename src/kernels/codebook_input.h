#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/codebook_state.h"
#include "kernels/scratch.h"

namespace helix {

// x divided by channel_scales: x itself where there are none. Valid until the calling thread scales
// the next x.
const float* scaled_input(const CodebookMatrix::State& state, const float* x, std::size_t batch,
                          ThreadPool& pool);

// What the functions below return lies in memory that the caller lends.
struct InputMemory {
  Scratch values;
  Scratch scales;
};

// One fixed-point input per component of the codebook's vectors.
std::vector<FixedInput> fixed_input(const CodebookMatrix::State& state, const float* x,
                                    std::size_t batch, FixedUse use, InputMemory& memory,
                                    ThreadPool& pool);

// The same of one row of x in bytes, where the instruction set has byte_rows.
std::vector<ByteInput> byte_input(const CodebookMatrix::State& state, const float* x,
                                  InputMemory& memory);

// A row of indices in pieces for byte tiles, as even as whole blocks can be: where piece `number`
// of plane_pieces() begins; the one past the last begins at the end of the row.
std::size_t plane_pieces(std::size_t index_columns);
std::size_t plane_piece_begin(std::size_t index_columns, std::size_t number);

// x for byte tiles: the pieces of every component of the codebook's vectors, one component after
// the other.
std::vector<PlaneInput> plane_input(const CodebookMatrix::State& state, const float* x,
                                    std::size_t batch, InputMemory& memory, ThreadPool& pool);

// s * Vt x (batch, rank) of the low-rank part that old files have, x divided by channel_scales;
// empty where there is none.
std::vector<double> low_rank_input(const CodebookMatrix::State& state, const float* x,
                                   std::size_t batch);

// Adds bias and low-rank part to rows [begin, end) of y.
void add_bias_and_low_rank(const CodebookMatrix::State& state, const std::vector<double>& low_rank,
                           std::size_t begin, std::size_t end, std::size_t batch, float* y);

}  // namespace helix
