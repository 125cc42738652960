// Large batches in 16-bit fixed point.
//
// A task makes y for up to kMostPanels panels of rows, 256 columns at a time: the piece of a panel
// (8 or 16 KiB) is decoded into the first-level cache, where all batch rows pass by it; x for these
// columns (256 KiB for a batch of 512) and the task's tile (32 or 64 KiB a panel) stay in the
// second-level cache from panel to panel. More panels read x more seldom from the third level,
// fewer leave more tasks.

#include <algorithm>
#include <cmath>

#include "kernels/codebook_input.h"
#include "kernels/codebook_product.h"
#include "kernels/panel_outliers.h"
#include "kernels/product_tile.h"
#include "kernels/scratch.h"

namespace helix {
namespace {

using State = CodebookMatrix::State;

constexpr std::size_t kMostPanels = 4;
constexpr std::size_t kBlocksAtOnce = 4;
constexpr std::size_t kBatchAtOnce = 512;

// An outlier that 16 bits cannot hold: what is missing.
struct Remainder {
  std::size_t row;
  std::size_t column;
  float delta;
};

// One task: rows [begin, end) of y.
class TileTask {
 public:
  TileTask(const State& state, std::size_t begin, std::size_t end)
      : state_(state), kernels_(*state.kernels), begin_(begin), end_(end) {}

  // Batch rows [first, first + count) of what inputs describe; y starts at row `first`.
  void multiply(const std::vector<FixedInput>& inputs, std::size_t first, std::size_t count,
                float* y) {
    thread_local Scratch panel_memory;
    thread_local Scratch tile_memory;
    const std::size_t panel_rows = kernels_.panel_rows;
    auto* panel = panel_memory.get<std::uint16_t>(kBlocksAtOnce * kFixedBlock * panel_rows);
    const std::size_t width = (end_ - begin_ + panel_rows - 1) / panel_rows * panel_rows;
    auto* tile = tile_memory.get<float>(count * width);
    keep_remainders_ = first == 0;
    const float scale = state_.panel_tables.components[0].scale;
    for (std::size_t j = 0; j < inputs.size(); ++j) {
      for (std::size_t block = 0; block < inputs[j].blocks; block += kBlocksAtOnce) {
        FixedInput part = inputs[j];
        part.values += (block * part.batch + first) * kFixedBlock;
        part.scales += block / kernels_.panel_group * part.batch + first;
        part.blocks = std::min(kBlocksAtOnce, part.blocks - block);
        const bool last = j + 1 == inputs.size() && block + kBlocksAtOnce >= inputs[j].blocks;
        for (std::size_t row = begin_; row < end_; row += panel_rows) {
          make_panel(j, row, block * kFixedBlock, panel);
          if (block == 0) prefetch_panel(row + panel_rows);
          const TileRows sums = {tile + row - begin_, width};
          const bool to_y = last && row + panel_rows <= end_;
          kernels_.fixed_multiply(panel, part, count, scale, j + block > 0, sums,
                                  to_y ? TileRows{y + row, state_.rows()} : sums);
        }
      }
    }
    // What the last panel lacks is not y's.
    const std::size_t rest = (end_ - begin_) % panel_rows;
    store_tile(tile + width - panel_rows, 1.0F, width, count, end_ - rest, rest, {}, y,
               state_.rows());
  }

  void add_remainders(const float* x, std::size_t batch, float* y) const {
    const float* inverse = state_.inverse_scales.empty() ? nullptr : state_.inverse_scales.data();
    for (const Remainder& part : remainders_) {
      const float delta = part.delta * (inverse == nullptr ? 1.0F : inverse[part.column]);
      for (std::size_t n = 0; n < batch; ++n) {
        y[n * state_.rows() + part.row] += delta * x[n * state_.columns() + part.column];
      }
    }
  }

 private:
  // kBlocksAtOnce blocks of one panel with its outliers, as far as 16 bits hold them.
  void make_panel(std::size_t component, std::size_t row, std::size_t index_begin,
                  std::uint16_t* panel) {
    const std::size_t index_columns = state_.tensor.index_columns();
    const PanelPiece piece{component, row, std::min(end_, row + kernels_.panel_rows), index_begin,
                           std::min(kBlocksAtOnce * kFixedBlock, index_columns - index_begin)};
    const FixedTable& table = state_.panel_tables.components[component];
    const auto* indices = reinterpret_cast<const std::uint8_t*>(state_.tensor.indices.data());
    kernels_.fixed_panel(table, indices + row * index_columns + index_begin, index_columns,
                         piece.row_end - row, piece.index_count, panel);
    const float inverse = table.scale > 0.0F ? 1.0F / table.scale : 0.0F;
    const float limit = std::floor(32767.0F / static_cast<float>(kernels_.panel_group));
    constexpr float kMagic = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer
    patch_panel(state_, piece, panel, [&](std::size_t at, std::size_t column, float value) {
      const float ratio = value * inverse;
      const float fixed = (std::clamp(ratio, -limit, limit) + kMagic) - kMagic;
      if (keep_remainders_ && (std::fabs(ratio) > limit + 0.5F || inverse == 0.0F)) {
        remainders_.push_back({at, column, value - fixed * table.scale});
      }
      return static_cast<std::uint16_t>(static_cast<std::int16_t>(fixed));
    });
  }

  // What the panel of rows from `row` on begins with: its later pieces fixed_panel asks for.
  void prefetch_panel(std::size_t row) const {
    const std::size_t columns = state_.tensor.index_columns();
    for (std::size_t r = row; r < std::min(end_, row + kernels_.panel_rows); ++r) {
      for (std::size_t i = 0; i < std::min(columns, kBlocksAtOnce * kFixedBlock); i += 64) {
        __builtin_prefetch(state_.tensor.indices.data() + r * columns + i, 0, 2);
      }
    }
  }

  const State& state_;
  const KernelTable& kernels_;
  std::size_t begin_;
  std::size_t end_;
  bool keep_remainders_ = true;
  std::vector<Remainder> remainders_;
};

}  // namespace

void fixed_tile_product(const State& state, const float* x, std::size_t batch, float* y,
                        ThreadPool& pool) {
  thread_local InputMemory memory;
  const auto inputs = fixed_input(state, x, batch, FixedUse::kPanel, memory, pool);
  const auto low_rank = low_rank_input(state, x, batch);
  const auto run = [&](std::size_t begin, std::size_t end) {
    TileTask task(state, begin, end);
    for (std::size_t first = 0; first < batch; first += kBatchAtOnce) {
      task.multiply(inputs, first, std::min(kBatchAtOnce, batch - first), y + first * state.rows());
    }
    task.add_remainders(x, batch, y);
    add_bias_and_low_rank(state, low_rank, begin, end, batch, y);
  };
  for_panel_groups(state.rows(), state.kernels->panel_rows, kMostPanels, pool, run);
}

}  // namespace helix
