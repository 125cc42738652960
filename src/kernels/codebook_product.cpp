#include "kernels/codebook_product.h"

#include <algorithm>
#include <deque>
#include <vector>

#include "kernels/codebook_input.h"
#include "kernels/product_tile.h"
#include "kernels/scratch.h"

namespace helix {
namespace {

using State = CodebookMatrix::State;

const std::uint8_t* index_bytes_of(const State& state) {
  return reinterpret_cast<const std::uint8_t*>(state.tensor.indices.data());
}

// What the outliers of rows [begin, end) add to the codebook's product.
void add_sidecar(const State& state, const float* x, std::size_t begin, std::size_t end,
                 std::size_t batch, float* y) {
  const RowSidecar& sidecar = state.sidecar;
  if (sidecar.row_begin.empty()) return;
  // One after the other, not row by row: processors guess badly how many a row has.
  for (std::size_t n = 0; n < batch; ++n) {
    const float* from = x + n * state.columns();
    float* to = y + n * state.rows();
    for (std::uint64_t i = sidecar.row_begin[begin]; i < sidecar.row_begin[end]; ++i) {
      to[sidecar.rows[i]] += sidecar.deltas[i] * from[sidecar.columns[i]];
    }
  }
}

// What a thread needs for one panel.
struct PanelMemory {
  Scratch panel;
  Scratch tile;
  Scratch rows;
  Scratch indices;
};

PanelMemory& panel_memory() {
  thread_local PanelMemory memory;
  return memory;
}

}  // namespace

void fixed_row_products(std::span<const CodebookProduct> products, const float* x,
                        std::size_t batch, ThreadPool& pool) {
  struct Input {
    std::vector<FixedInput> fixed;
    std::vector<ByteInput> bytes;  // instead, for one row of x where there are kernels for it
    std::vector<double> low_rank;
  };
  thread_local std::deque<InputMemory> memories;
  while (memories.size() < products.size()) memories.emplace_back();
  std::vector<Input> inputs;
  std::vector<RowsOfBytes> sizes;
  for (std::size_t i = 0; i < products.size(); ++i) {
    const State& state = products[i].matrix->state();
    Input& input = inputs.emplace_back();
    if (batch == 1 && state.kernels->byte_rows != nullptr) {
      input.bytes = byte_input(state, x, memories[i]);
    } else {
      input.fixed = fixed_input(state, x, batch, FixedUse::kRows, memories[i], pool);
    }
    input.low_rank = low_rank_input(state, x, batch);
    sizes.push_back({state.rows(), state.tensor.index_columns()});
  }
  for_row_parts(sizes, pool, [&](std::size_t i, std::size_t begin, std::size_t end) {
    const State& state = products[i].matrix->state();
    const Input& input = inputs[i];
    float* y = products[i].y.data();
    const auto by_component = [&]<typename Part>(const std::vector<Part>& parts, auto rows) {
      for (std::size_t j = 0; j < parts.size(); ++j) {
        const RowTask<Part> task{state.row_tables.components[j],
                                 index_bytes_of(state),
                                 state.tensor.index_columns(),
                                 parts[j],
                                 j > 0,
                                 y,
                                 state.rows()};
        rows(task, begin, end);
      }
    };
    by_component(input.bytes, state.kernels->byte_rows);
    by_component(input.fixed, state.kernels->fixed_rows);
    add_sidecar(state, x, begin, end, batch, y);
    add_bias_and_low_rank(state, input.low_rank, begin, end, batch, y);
  });
}

void lookup_row_product(const State& state, const float* x, std::size_t batch, float* y,
                        ThreadPool& pool) {
  thread_local Scratch memory;
  const std::size_t columns = state.columns();
  const std::size_t stride = (columns + kFixedBlock - 1) / kFixedBlock * kFixedBlock;
  const float* scaled = scaled_input(state, x, batch, pool);
  const auto low_rank = low_rank_input(state, x, batch);
  auto* ordered = memory.get<float>(batch * stride);
  for (std::size_t n = 0; n < batch; ++n) {
    state.kernels->order_columns(scaled + n * columns, columns, ordered + n * stride);
  }
  for_row_parts(state.rows(), columns, pool, [&](std::size_t begin, std::size_t end) {
    state.kernels->lookup_rows(state.half_tables.components.data(), index_bytes_of(state), columns,
                               begin, end, ordered, batch, y, state.rows());
    add_sidecar(state, x, begin, end, batch, y);
    add_bias_and_low_rank(state, low_rank, begin, end, batch, y);
  });
}

void f32_row_product(const State& state, const float* x, std::size_t batch, float* y,
                     ThreadPool& pool) {
  const float* scaled = scaled_input(state, x, batch, pool);
  const auto low_rank = low_rank_input(state, x, batch);
  const std::size_t columns = state.columns();
  for_row_parts(state.rows(), columns, pool, [&](std::size_t begin, std::size_t end) {
    PanelMemory& memory = panel_memory();
    auto* weights = memory.rows.get<float>(columns);
    auto* indices = memory.indices.get<std::uint16_t>(columns);
    for (std::size_t row = begin; row < end; ++row) {
      decode_stored_row(state, row, indices, weights);
      state.kernels->f32_rows(
          {reinterpret_cast<const std::byte*>(weights), columns, WeightType::kF32}, 0, 1, scaled,
          batch, y + row, state.rows());
    }
    add_bias_and_low_rank(state, low_rank, begin, end, batch, y);
  });
}

void f32_tile_product(const State& state, const float* x, std::size_t batch, float* y,
                      ThreadPool& pool) {
  const float* scaled = scaled_input(state, x, batch, pool);
  const auto low_rank = low_rank_input(state, x, batch);
  const KernelTable& kernels = *state.kernels;
  const std::size_t columns = state.columns();
  const float* packed = packed_input(scaled, columns, batch, pool);
  for_panels(state.rows(), kernels.panel_rows, pool, [&](std::size_t begin, std::size_t end) {
    PanelMemory& memory = panel_memory();
    auto* weights = memory.rows.get<float>(kernels.panel_rows * columns);
    auto* indices = memory.indices.get<std::uint16_t>(columns);
    for (std::size_t row = begin; row < end; ++row) {
      decode_stored_row(state, row, indices, weights + (row - begin) * columns);
    }
    auto* panel = memory.panel.get<float>(kColumnsAtOnce * kernels.panel_rows);
    auto* tile = memory.tile.get<float>(batch * kernels.panel_rows);
    f32_panel_product(kernels,
                      {reinterpret_cast<const std::byte*>(weights), columns, WeightType::kF32}, 0,
                      end - begin, packed, batch, panel, tile);
    store_tile(tile, 1.0F, kernels.panel_rows, batch, begin, end - begin, {}, y, state.rows());
    add_bias_and_low_rank(state, low_rank, begin, end, batch, y);
  });
}

}  // namespace helix
