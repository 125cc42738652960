#include "kernels/codebook_input.h"

#include <algorithm>

#include "kernels/product_tile.h"
#include "kernels/scratch.h"

namespace helix {
namespace {

std::size_t padded(std::size_t count, std::size_t multiple) {
  return (count + multiple - 1) / multiple * multiple;
}

// Batch rows one task prepares.
constexpr std::size_t kRowsAtOnce = 8;

void for_rows(std::size_t batch, ThreadPool& pool,
              const std::function<void(std::size_t, std::size_t)>& task) {
  if (batch <= kRowsAtOnce) return task(0, batch);  // not worth waking anyone
  for_panels(batch, kRowsAtOnce, pool, task);
}

void for_batch(std::size_t batch, ThreadPool& pool, const std::function<void(std::size_t)>& task) {
  for_rows(batch, pool, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) task(n);
  });
}

void scale_row(const CodebookMatrix::State& state, const float* x, float* scaled) {
  const auto& inverse = state.inverse_scales;
  if (inverse.empty()) {
    std::copy_n(x, state.columns(), scaled);
    return;
  }
  for (std::size_t i = 0; i < inverse.size(); ++i) scaled[i] = x[i] * inverse[i];
}

}  // namespace

const float* scaled_input(const CodebookMatrix::State& state, const float* x, std::size_t batch,
                          ThreadPool& pool) {
  if (state.inverse_scales.empty()) return x;
  thread_local Scratch memory;
  const std::size_t columns = state.columns();
  auto* scaled = memory.get<float>(batch * columns);
  for_batch(batch, pool,
            [&](std::size_t n) { scale_row(state, x + n * columns, scaled + n * columns); });
  return scaled;
}

std::vector<FixedInput> fixed_input(const CodebookMatrix::State& state, const float* x,
                                    std::size_t batch, FixedUse use, InputMemory& memory,
                                    ThreadPool& pool) {
  const KernelTable& kernels = *state.kernels;
  const std::size_t d = state.tensor.vector_size;
  const std::size_t index_columns = state.tensor.index_columns();
  const std::size_t blocks = padded(index_columns, kFixedBlock) / kFixedBlock;
  const std::size_t group = use == FixedUse::kRows ? kernels.row_group : kernels.panel_group;
  const std::size_t component_size = batch * blocks;
  auto* values = memory.values.get<std::int16_t>(d * component_size * kFixedBlock);
  auto* scales = memory.scales.get<float>(d * component_size);
  const float* inverse = state.inverse_scales.empty() ? nullptr : state.inverse_scales.data();
  const auto prepare = [&](std::size_t n, std::size_t block, std::size_t component) {
    const std::size_t begin = block * kFixedBlock;
    const std::size_t count = std::min(group * kFixedBlock, index_columns - begin);
    const std::size_t offset = begin * d + component;
    const std::size_t at = component * component_size + n;
    // What comes next of this row: a few lines of every row in turn are no stream to the processor.
    const std::size_t next = (begin + group * kFixedBlock) * d;
    for (std::size_t i = next; i < std::min(state.columns(), 2 * next - begin * d); i += 16) {
      __builtin_prefetch(x + n * state.columns() + i);
    }
    kernels.quantize(x + n * state.columns() + offset,
                     inverse == nullptr ? nullptr : inverse + offset, count, d,
                     kernels.column_order, use, values + (at + block * batch) * kFixedBlock,
                     batch * kFixedBlock, scales + at + block / group * batch, batch);
  };
  // Rows of one block lie together, so they are written together.
  for_rows(batch, pool, [&](std::size_t begin, std::size_t end) {
    for (std::size_t j = 0; j < d; ++j) {
      for (std::size_t block = 0; block < blocks; block += group) {
        for (std::size_t n = begin; n < end; ++n) prepare(n, block, j);
      }
    }
  });
  std::vector<FixedInput> inputs;
  for (std::size_t j = 0; j < d; ++j) {
    const std::size_t at = j * component_size;
    inputs.push_back({values + at * kFixedBlock, scales + at, blocks, batch});
  }
  return inputs;
}

std::vector<ByteInput> byte_input(const CodebookMatrix::State& state, const float* x,
                                  InputMemory& memory) {
  const std::size_t d = state.tensor.vector_size;
  const std::size_t index_columns = state.tensor.index_columns();
  const std::size_t blocks = padded(index_columns, kFixedBlock) / kFixedBlock;
  const std::size_t size = byte_input_size(blocks);
  const std::size_t groups = byte_input_groups(blocks);
  auto* values = memory.values.get<std::int8_t>(d * size);
  auto* scales = memory.scales.get<float>(d * groups);
  const float* inverse = state.inverse_scales.empty() ? nullptr : state.inverse_scales.data();
  std::vector<ByteInput> inputs;
  for (std::size_t j = 0; j < d; ++j) {
    std::int8_t* to = values + j * size;
    float* to_scales = scales + j * groups;
    state.kernels->byte_input(x + j, inverse == nullptr ? nullptr : inverse + j, index_columns, d,
                              to, to_scales);
    inputs.push_back({to, to_scales});
  }
  return inputs;
}

std::size_t plane_pieces(std::size_t index_columns) {
  return padded(index_columns, kPlaneColumns) / kPlaneColumns;
}

std::size_t plane_piece_begin(std::size_t index_columns, std::size_t number) {
  const std::size_t blocks = padded(index_columns, kFixedBlock) / kFixedBlock;
  return std::min(index_columns, blocks * number / plane_pieces(index_columns) * kFixedBlock);
}

std::vector<PlaneInput> plane_input(const CodebookMatrix::State& state, const float* x,
                                    std::size_t batch, InputMemory& memory, ThreadPool& pool) {
  constexpr std::size_t kBlockRows = 16;
  const std::size_t d = state.tensor.vector_size;
  const std::size_t index_columns = state.tensor.index_columns();
  const std::size_t piece_count = plane_pieces(index_columns);
  const std::size_t padded_batch = padded(batch, kBlockRows);
  const std::size_t component_bytes = 2 * padded(index_columns, kFixedBlock) * padded_batch;
  auto* values = memory.values.get<std::int8_t>(d * component_bytes);
  auto* scales = memory.scales.get<float>(d * piece_count * padded_batch);
  const auto begin_of = [&](std::size_t piece) { return plane_piece_begin(index_columns, piece); };
  std::vector<PlaneInput> pieces;
  for (std::size_t i = 0; i < d * piece_count; ++i) {
    const std::size_t begin = begin_of(i % piece_count);
    const std::size_t columns = begin_of(i % piece_count + 1) - begin;
    pieces.push_back({values + i / piece_count * component_bytes + 2 * begin * padded_batch,
                      scales + i * padded_batch, padded(columns, kFixedBlock) / kFixedBlock,
                      padded_batch / kBlockRows});
  }
  const float* inverse = state.inverse_scales.empty() ? nullptr : state.inverse_scales.data();
  for_panels(batch, kBlockRows, pool, [&](std::size_t first, std::size_t last) {
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const std::size_t begin = begin_of(i % piece_count);
      const std::size_t columns = begin_of(i % piece_count + 1) - begin;
      const std::size_t offset = begin * d + i / piece_count;
      const PlaneInput& to = pieces[i];
      state.kernels->plane_input(x + first * state.columns() + offset, state.columns(),
                                 last - first, inverse == nullptr ? nullptr : inverse + offset,
                                 columns, d,
                                 values + (to.values - values) + first * 2 * to.steps * kFixedBlock,
                                 scales + i * padded_batch + first);
    }
  });
  return pieces;
}

std::vector<double> low_rank_input(const CodebookMatrix::State& state, const float* x,
                                   std::size_t batch) {
  const CompressedTensor& tensor = state.tensor;
  const std::size_t rank = tensor.svd_rank;
  std::vector<double> coefficients(batch * rank);
  std::vector<float> scaled(rank > 0 ? tensor.columns : 0);
  for (std::size_t n = 0; n < batch && rank > 0; ++n) {
    scale_row(state, x + n * tensor.columns, scaled.data());
    for (std::size_t k = 0; k < rank; ++k) {
      const float* direction = tensor.svd_vt.data() + k * tensor.columns;
      double sum = 0.0;
      for (std::size_t i = 0; i < tensor.columns; ++i) {
        sum += static_cast<double>(direction[i]) * scaled[i];
      }
      coefficients[n * rank + k] = sum * tensor.svd_s[k];
    }
  }
  return coefficients;
}

void add_bias_and_low_rank(const CodebookMatrix::State& state, const std::vector<double>& low_rank,
                           std::size_t begin, std::size_t end, std::size_t batch, float* y) {
  const std::size_t rank = state.tensor.svd_rank;
  if (state.bias.empty() && rank == 0) return;
  for (std::size_t n = 0; n < batch; ++n) {
    for (std::size_t row = begin; row < end; ++row) {
      double sum = state.bias.empty() ? 0.0 : static_cast<double>(state.bias[row]);
      for (std::size_t k = 0; k < rank; ++k) {
        sum += static_cast<double>(state.tensor.svd_u[row * rank + k]) * low_rank[n * rank + k];
      }
      y[n * state.rows() + row] += static_cast<float>(sum);
    }
  }
}

}  // namespace helix
