#include "kernels/codebook_matmul_transposed.h"

#include <algorithm>

#include "base/message.h"
#include "kernels/codebook_state.h"
#include "kernels/product_tile.h"
#include "kernels/scratch.h"

// weight^T has the weight's columns as rows, so a panel of it, (steps, panel_rows), is a strip of
// the decoded matrix as it lies: weight[row .. row + steps, column .. column + panel_rows]. Nothing
// is transposed. A task takes a strip of 64 columns, a cache line of byte indices, through all rows
// of the weight, kColumnsAtOnce rows at a time (64 KiB of F32: second-level cache).
namespace helix {
namespace {

using State = CodebookMatrix::State;

constexpr std::size_t kStrip = 64;

struct StripMemory {
  Scratch panels;
  Scratch tiles;
  Scratch indices;
  Scratch line;
};

StripMemory& strip_memory() {
  thread_local StripMemory memory;
  return memory;
}

// Columns [begin, end) of one row as codebook gives them: any layout. `indices` and `line` have
// room for the strip and two vectors.
void decode_any(const CompressedTensor& tensor, std::size_t row, std::size_t begin, std::size_t end,
                std::uint16_t* indices, float* line, float* out) {
  const std::size_t d = tensor.vector_size;
  const std::size_t first = begin / d;
  const std::size_t count = (end + d - 1) / d - first;
  read_indices(tensor, row * tensor.index_columns() + first, std::span(indices, count));
  for (std::size_t i = 0; i < count; ++i) {
    std::copy_n(tensor.codebook.data() + std::size_t{indices[i]} * d, d, line + i * d);
  }
  std::copy_n(line + (begin - first * d), end - begin, out);
}

void decode_part(const State& state, std::size_t row, std::size_t begin, std::size_t end,
                 StripMemory& memory, float* out) {
  const CompressedTensor& tensor = state.tensor;
  if (tensor.index_format == IndexFormat::kU8 && tensor.vector_size == 1) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(tensor.indices.data());
    state.kernels->lookup_u8(tensor.codebook.data(), bytes + row * tensor.columns + begin,
                             end - begin, out);
    return;
  }
  const std::size_t room = kStrip + 2 * std::size_t{tensor.vector_size};
  decode_any(tensor, row, begin, end, memory.indices.get<std::uint16_t>(room),
             memory.line.get<float>(room), out);
}

// Rows [row, row + steps) of the strip that begins at `begin` into its panels, (steps, panel_rows)
// each and `panel_size` apart. Columns past `end` become zero.
void fill_panels(const State& state, std::size_t row, std::size_t steps, std::size_t begin,
                 std::size_t end, std::size_t panel_size, StripMemory& memory, float* panels) {
  const std::size_t width = state.kernels->panel_rows;
  for (std::size_t column = begin; column < end; column += width, panels += panel_size) {
    const std::size_t stop = std::min(end, column + width);
    for (std::size_t step = 0; step < steps; ++step) {
      float* out = panels + step * width;
      decode_part(state, row + step, column, stop, memory, out);
      std::fill(out + (stop - column), out + width, 0.0F);
    }
  }
}

void patch_panels(const State& state, std::size_t row, std::size_t steps, std::size_t begin,
                  std::size_t end, std::size_t panel_size, float* panels) {
  const RowSidecar& sidecar = state.sidecar;
  if (sidecar.row_begin.empty()) return;
  const std::size_t width = state.kernels->panel_rows;
  for (std::size_t step = 0; step < steps; ++step) {
    const auto first =
        sidecar.columns.begin() + static_cast<std::ptrdiff_t>(sidecar.row_begin[row + step]);
    const auto last =
        sidecar.columns.begin() + static_cast<std::ptrdiff_t>(sidecar.row_begin[row + step + 1]);
    for (auto at = std::lower_bound(first, last, begin); at != last && *at < end; ++at) {
      const std::size_t column = *at - begin;
      panels[column / width * panel_size + step * width + column % width] =
          state.tensor.sidecar_values[static_cast<std::size_t>(at - sidecar.columns.begin())];
    }
  }
}

// s * U^T g (batch, rank) of the low-rank part; empty where there is none.
std::vector<double> low_rank_gradient(const CompressedTensor& tensor, const float* g,
                                      std::size_t batch) {
  const std::size_t rank = tensor.svd_rank;
  std::vector<double> coefficients(batch * rank);
  for (std::size_t n = 0; n < batch && rank > 0; ++n) {
    double* sums = coefficients.data() + n * rank;
    for (std::size_t row = 0; row < tensor.rows; ++row) {
      const double value = g[n * tensor.rows + row];
      for (std::size_t k = 0; k < rank; ++k) sums[k] += value * tensor.svd_u[row * rank + k];
    }
    for (std::size_t k = 0; k < rank; ++k) sums[k] *= tensor.svd_s[k];
  }
  return coefficients;
}

// Adds the low-rank part to columns [begin, end) of y and divides them by channel_scales.
void finish_columns(const State& state, const std::vector<double>& low_rank, std::size_t begin,
                    std::size_t end, std::size_t batch, float* y) {
  const CompressedTensor& tensor = state.tensor;
  const std::size_t rank = tensor.svd_rank;
  for (std::size_t n = 0; n < batch; ++n) {
    float* row = y + n * tensor.columns;
    for (std::size_t column = begin; column < end && rank > 0; ++column) {
      double sum = row[column];
      for (std::size_t k = 0; k < rank; ++k) {
        sum += low_rank[n * rank + k] * tensor.svd_vt[k * tensor.columns + column];
      }
      row[column] = static_cast<float>(sum);
    }
    for (std::size_t column = begin; column < end && !state.inverse_scales.empty(); ++column) {
      row[column] *= state.inverse_scales[column];
    }
  }
}

// Columns [begin, end) of y; `packed` as packed_input() leaves it.
void strip_product(const State& state, const float* packed, std::size_t batch, std::size_t begin,
                   std::size_t end, float* y) {
  const KernelTable& kernels = *state.kernels;
  const std::size_t width = kernels.panel_rows;
  const std::size_t panel_count = (end - begin + width - 1) / width;
  const std::size_t panel_size = kColumnsAtOnce * width;
  StripMemory& memory = strip_memory();
  auto* panels = memory.panels.get<float>(panel_count * panel_size);
  auto* tiles = memory.tiles.get<float>(panel_count * batch * width);
  std::fill_n(tiles, panel_count * batch * width, 0.0F);
  for (std::size_t row = 0; row < state.rows(); row += kColumnsAtOnce) {
    const std::size_t steps = std::min(kColumnsAtOnce, state.rows() - row);
    fill_panels(state, row, steps, begin, end, panel_size, memory, panels);
    patch_panels(state, row, steps, begin, end, panel_size, panels);
    for (std::size_t p = 0; p < panel_count; ++p) {
      kernels.f32_multiply(panels + p * panel_size, steps, packed + row * batch, kColumnsAtOnce,
                           batch, tiles + p * batch * width);
    }
  }
  for (std::size_t p = 0; p < panel_count; ++p) {
    const std::size_t column = begin + p * width;
    store_tile(tiles + p * batch * width, 1.0F, width, batch, column, std::min(width, end - column),
               {}, y, state.columns());
  }
}

}  // namespace

void multiply_transposed(const CodebookMatrix& matrix, std::span<const float> g, std::size_t batch,
                         std::span<float> y, ThreadPool& pool) {
  const State& state = matrix.state();
  if (g.size() != batch * state.rows() || y.size() != batch * state.columns()) {
    throw_error(ErrorCode::kInvalidArgument, "batch of ", batch, " times the transpose of a [",
                state.rows(), ", ", state.columns(), "] matrix: g has ", g.size(),
                " numbers and y ", y.size());
  }
  if (batch == 0) return;
  const auto low_rank = low_rank_gradient(state.tensor, g.data(), batch);
  const float* packed = packed_input(g.data(), state.rows(), batch, pool);
  for_panels(state.columns(), kStrip, pool, [&](std::size_t begin, std::size_t end) {
    strip_product(state, packed, batch, begin, end, y.data());
    finish_columns(state, low_rank, begin, end, batch, y.data());
  });
}

}  // namespace helix
