#include "kernels/codebook_product.h"

#include <algorithm>
#include <cmath>

#include "helix/tensor.h"
#include "kernels/codebook_input.h"
#include "kernels/product_tile.h"
#include "kernels/scratch.h"

namespace helix {
namespace {

using State = CodebookMatrix::State;

const std::uint8_t* index_bytes_of(const State& state) {
  return reinterpret_cast<const std::uint8_t*>(state.tensor.indices.data());
}

// What the outliers of rows [begin, end) add to the codebook's product. `x` is scaled.
void add_sidecar(const State& state, const float* x, std::size_t begin, std::size_t end,
                 std::size_t batch, float* y) {
  const RowSidecar& sidecar = state.sidecar;
  if (sidecar.row_begin.empty()) return;
  for (std::size_t row = begin; row < end; ++row) {
    for (std::size_t n = 0; n < batch; ++n) {
      float sum = 0.0F;
      for (std::uint64_t i = sidecar.row_begin[row]; i < sidecar.row_begin[row + 1]; ++i) {
        sum += sidecar.deltas[i] * x[n * state.columns() + sidecar.columns[i]];
      }
      y[n * state.rows() + row] += sum;
    }
  }
}

// Where column `column` of panel row `row` lies in the panel of its component.
std::size_t panel_position(const State& state, std::size_t column, std::size_t row) {
  const std::size_t i = column / state.tensor.vector_size;
  const std::size_t position = i / 64 * 64 + state.position_of[i % 64];
  return (position / 2 * state.kernels->panel_rows + row) * 2 + position % 2;
}

// An outlier that a 16-bit panel cannot hold: what is missing.
struct Remainder {
  std::size_t row;
  std::size_t column;
  float delta;
};

// Puts the outliers of rows [begin, end) into the panel of `component`.
template <typename Encode>
void patch_panel(const State& state, std::size_t component, std::size_t begin, std::size_t end,
                 std::uint16_t* panel, const Encode& encode) {
  const RowSidecar& sidecar = state.sidecar;
  if (sidecar.row_begin.empty()) return;
  for (std::size_t row = begin; row < end; ++row) {
    for (std::uint64_t i = sidecar.row_begin[row]; i < sidecar.row_begin[row + 1]; ++i) {
      const std::size_t column = sidecar.columns[i];
      if (column % state.tensor.vector_size != component) continue;
      panel[panel_position(state, column, row - begin)] = encode(row, column, sidecar.values[i]);
    }
  }
}

void add_remainders(const State& state, const std::vector<Remainder>& remainders, const float* x,
                    std::size_t batch, float* y) {
  const float* inverse = state.inverse_scales.empty() ? nullptr : state.inverse_scales.data();
  for (const Remainder& part : remainders) {
    const float delta = part.delta * (inverse == nullptr ? 1.0F : inverse[part.column]);
    for (std::size_t n = 0; n < batch; ++n) {
      y[n * state.rows() + part.row] += delta * x[n * state.columns() + part.column];
    }
  }
}

// The panel of rows [begin, end) with its outliers, as far as 16 bits hold them.
void make_fixed_panel(const State& state, std::size_t component, std::size_t begin, std::size_t end,
                      std::uint16_t* panel, std::vector<Remainder>& remainders) {
  const FixedTable& table = state.panel_tables.components[component];
  state.kernels->fixed_panel(table, index_bytes_of(state), state.tensor.index_columns(), begin,
                             end - begin, panel);
  patch_panel(state, component, begin, end, panel,
              [&](std::size_t row, std::size_t column, float value) {
                const float ratio = table.scale > 0.0F ? value / table.scale : 0.0F;
                const float fixed = std::clamp(std::nearbyint(ratio), -32767.0F, 32767.0F);
                if (std::fabs(ratio) > 32767.5F || table.scale <= 0.0F) {
                  remainders.push_back({row, column, value - fixed * table.scale});
                }
                return static_cast<std::uint16_t>(static_cast<std::int16_t>(fixed));
              });
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

void fixed_row_product(const State& state, const float* x, std::size_t batch, float* y,
                       ThreadPool& pool) {
  const auto inputs = fixed_input(state, x, batch, FixedUse::kRows, pool);
  const bool exact = !state.sidecar.row_begin.empty() || state.tensor.svd_rank > 0;
  const float* scaled = exact ? scaled_input(state, x, batch, pool) : x;
  const auto low_rank = low_rank_input(state, scaled, batch);
  const std::size_t index_columns = state.tensor.index_columns();
  for_row_parts(state.rows(), index_columns, pool, [&](std::size_t begin, std::size_t end) {
    for (std::size_t j = 0; j < inputs.size(); ++j) {
      state.kernels->fixed_rows(state.row_tables.components[j], index_bytes_of(state),
                                index_columns, begin, end, inputs[j], j > 0, y, state.rows());
    }
    add_sidecar(state, scaled, begin, end, batch, y);
    add_bias_and_low_rank(state, low_rank, begin, end, batch, y);
  });
}

void f32_row_product(const State& state, const float* x, std::size_t batch, float* y,
                     ThreadPool& pool) {
  const float* scaled = scaled_input(state, x, batch, pool);
  const auto low_rank = low_rank_input(state, scaled, batch);
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

void fixed_tile_product(const State& state, const float* x, std::size_t batch, float* y,
                        ThreadPool& pool) {
  // Two panels share what they read of x, four blocks at a time, in the second-level cache.
  constexpr std::size_t kPanels = 2;
  constexpr std::size_t kBlocksAtOnce = 4;
  const auto inputs = fixed_input(state, x, batch, FixedUse::kPanel, pool);
  const bool low_rank_part = state.tensor.svd_rank > 0;
  const auto low_rank =
      low_rank_input(state, low_rank_part ? scaled_input(state, x, batch, pool) : x, batch);
  const KernelTable& kernels = *state.kernels;
  const std::size_t panel_rows = kernels.panel_rows;
  const std::size_t blocks = inputs[0].blocks;
  const std::size_t panel_size = blocks * kFixedBlock * panel_rows;
  const float scale = state.panel_tables.components[0].scale;
  for_panels(state.rows(), kPanels * panel_rows, pool, [&](std::size_t begin, std::size_t end) {
    PanelMemory& memory = panel_memory();
    auto* tiles = memory.tile.get<float>(kPanels * batch * panel_rows);
    std::fill_n(tiles, kPanels * batch * panel_rows, 0.0F);
    auto* panels = memory.panel.get<std::uint16_t>(kPanels * panel_size);
    std::vector<Remainder> remainders;
    const std::size_t panel_count = (end - begin + panel_rows - 1) / panel_rows;
    for (std::size_t j = 0; j < inputs.size(); ++j) {
      for (std::size_t p = 0; p < panel_count; ++p) {
        const std::size_t row = begin + p * panel_rows;
        make_fixed_panel(state, j, row, std::min(end, row + panel_rows), panels + p * panel_size,
                         remainders);
      }
      for (std::size_t block = 0; block < blocks; block += kBlocksAtOnce) {
        const FixedInput part{inputs[j].values + block * batch * kFixedBlock,
                              inputs[j].scales + block * batch,
                              std::min(kBlocksAtOnce, blocks - block), batch};
        for (std::size_t p = 0; p < panel_count; ++p) {
          kernels.fixed_multiply(panels + p * panel_size + block * kFixedBlock * panel_rows, part,
                                 tiles + p * batch * panel_rows);
        }
      }
    }
    for (std::size_t p = 0; p < panel_count; ++p) {
      const std::size_t row = begin + p * panel_rows;
      store_tile(tiles + p * batch * panel_rows, scale, panel_rows, batch, row,
                 std::min(panel_rows, end - row), {}, y, state.rows());
    }
    add_remainders(state, remainders, x, batch, y);
    add_bias_and_low_rank(state, low_rank, begin, end, batch, y);
  });
}

void bf16_tile_product(const State& state, const float* x, std::size_t batch, float* y,
                       ThreadPool& pool) {
  const float* scaled = scaled_input(state, x, batch, pool);
  const auto inputs = bf16_input(state, scaled, batch, pool);
  const auto low_rank = low_rank_input(state, scaled, batch);
  const KernelTable& kernels = *state.kernels;
  const std::size_t index_columns = state.tensor.index_columns();
  const std::size_t padded_columns = (index_columns + kFixedBlock - 1) / kFixedBlock * kFixedBlock;
  const std::size_t padded_batch = (batch + 31) / 32 * 32;
  for_panels(state.rows(), kernels.panel_rows, pool, [&](std::size_t begin, std::size_t end) {
    PanelMemory& memory = panel_memory();
    auto* tile = memory.tile.get<float>(padded_batch * kernels.panel_rows);
    std::fill_n(tile, padded_batch * kernels.panel_rows, 0.0F);
    auto* panel = memory.panel.get<std::uint16_t>(padded_columns * kernels.panel_rows);
    for (std::size_t j = 0; j < inputs.size(); ++j) {
      kernels.fixed_panel(state.panel_tables.components[j], index_bytes_of(state), index_columns,
                          begin, end - begin, panel);
      patch_panel(state, j, begin, end, panel,
                  [](std::size_t, std::size_t, float value) { return float_to_bf16(value); });
      kernels.bf16_multiply(panel, padded_columns / 2, inputs[j], padded_batch, batch, tile);
    }
    store_tile(tile, 1.0F, kernels.panel_rows, batch, begin, end - begin, {}, y, state.rows());
    add_bias_and_low_rank(state, low_rank, begin, end, batch, y);
  });
}

void f32_tile_product(const State& state, const float* x, std::size_t batch, float* y,
                      ThreadPool& pool) {
  const float* scaled = scaled_input(state, x, batch, pool);
  const auto low_rank = low_rank_input(state, scaled, batch);
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
