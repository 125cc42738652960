// Large batches by tiles of bytes.
//
// A task makes y for kMostPanels panels of 32 rows. It takes kPlaneColumns columns at a time: their
// piece of a panel (16 KiB) is decoded into the first-level cache, where all batch rows pass by it;
// x for these columns (256 KiB for a batch of 512) and the task's sums (64 KiB a panel) stay in the
// second-level cache from panel to panel.

#include <algorithm>
#include <functional>
#include <span>
#include <vector>

#include "kernels/codebook_input.h"
#include "kernels/codebook_product.h"
#include "kernels/product_tile.h"

namespace helix {
namespace {

using State = CodebookMatrix::State;

constexpr std::size_t kPanelRows = 32;
constexpr std::size_t kMostPanels = 12;
constexpr std::size_t kBatchAtOnce = 512;

// Index columns [begin, begin + columns) of one component of the codebook's vectors.
struct Piece {
  std::size_t component;
  std::size_t begin;
  std::size_t columns;
};

// What is multiplied: a matrix, and x as it wants it.
struct Source {
  const State* state;
  const std::vector<PlaneInput>* pieces;

  Piece piece(std::size_t number) const {
    const std::size_t columns = state->tensor.index_columns();
    const std::size_t count = plane_pieces(columns);
    const std::size_t begin = plane_piece_begin(columns, number % count);
    return {number / count, begin, plane_piece_begin(columns, number % count + 1) - begin};
  }

  const std::uint8_t* indices(std::size_t row, const Piece& piece) const {
    return reinterpret_cast<const std::uint8_t*>(state->tensor.indices.data()) +
           row * state->tensor.index_columns() + piece.begin;
  }
};

// Sums of rows [begin, end) of all sources for batch rows [first, first + count).
class PlaneTask {
 public:
  PlaneTask(std::span<const Source> sources, std::size_t begin, std::size_t end, std::size_t first,
            std::size_t count)
      : sources_(sources),
        begin_(begin),
        end_(end),
        first_(first),
        count_(count),
        width_((count + 15) / 16 * 16),
        panels_((end - begin + kPanelRows - 1) / kPanelRows) {
    thread_local Scratch panel_memory;
    thread_local Scratch sum_memory;
    thread_local Scratch cursor_memory;
    panel_ = panel_memory.get<std::int8_t>(2 * kPlaneColumns * kPanelRows);
    sums_ = sum_memory.get<float>(sources.size() * sum_count());
    cursors_ = cursor_memory.get<std::uint64_t>(sources.size() * (end - begin));
    const std::size_t stages = sources.size() * sources[0].pieces->size();
    for (std::size_t stage = 0; stage < stages; ++stage) add_stage(stage, stages);
  }

  std::size_t sum_count() const { return panels_ * kPanelRows * width_; }
  float* sums(std::size_t source) const { return sums_ + source * sum_count(); }

  // The first source's sums to y, which starts at batch row `first`.
  void store(float* y) const {
    const std::size_t stride = sources_[0].state->rows();
    for (std::size_t n = 0; n < count_; n += 16) {
      for (std::size_t p = 0; p < panels_; ++p) {
        const std::size_t row = begin_ + p * kPanelRows;
        kernels().plane_store(sums_ + (p * width_ + n) * kPanelRows,
                              std::min(kPanelRows, end_ - row),
                              std::min<std::size_t>(16, count_ - n), y + n * stride + row, stride);
      }
    }
  }

 private:
  const KernelTable& kernels() const { return *sources_[0].state->kernels; }

  PlaneInput input(const Source& source, std::size_t piece) const {
    PlaneInput x = (*source.pieces)[piece];
    x.values += first_ * x.steps * 2 * kFixedBlock;
    x.scales += first_;
    x.blocks = width_ / 16;
    return x;
  }

  // One piece of one source: sources take turns, because they may share x.
  void add_stage(std::size_t stage, std::size_t stages) {
    const std::size_t number = stage / sources_.size();
    const Source& source = sources_[stage % sources_.size()];
    const Piece piece = source.piece(number);
    const PlaneInput x = input(source, number);
    const std::size_t after = (stage + 1) % stages;
    const std::size_t next_number = after / sources_.size();
    const Source& next = sources_[after % sources_.size()];
    const PlaneInput next_x = input(next, next_number);
    const std::size_t next_bytes =
        next_x.values == x.values ? 0 : width_ * next_x.steps * 2 * kFixedBlock;
    const std::size_t share = (next_bytes + panels_ - 1) / panels_;
    const FixedTable& table = source.state->panel_tables.components[piece.component];
    const std::size_t index_columns = source.state->tensor.index_columns();
    thread_local std::vector<PlaneOutlier> outliers;
    std::uint64_t* cursors = cursors_ + stage % sources_.size() * (end_ - begin_);
    for (std::size_t p = 0; p < panels_; ++p) {
      const std::size_t row = begin_ + p * kPanelRows;
      const std::size_t rows = std::min(kPanelRows, end_ - row);
      float* to = sums(stage % sources_.size()) + p * kPanelRows * width_;
      kernels().plane_panel(table, source.indices(row, piece), index_columns, rows, piece.columns,
                            panel_);
      const bool last = p + 1 == panels_;
      const std::size_t next_row = last ? begin_ : row + kPanelRows;
      find_outliers(*source.state, row, rows, piece, cursors, outliers);
      const PlaneExtras extras = {.outliers = outliers.data(),
                                  .outlier_count = outliers.size(),
                                  .indices = last ? next.indices(next_row, next.piece(next_number))
                                                  : source.indices(next_row, piece),
                                  .index_stride = index_columns,
                                  .rows = std::min(kPanelRows, end_ - next_row),
                                  .values = next_x.values + p * share,
                                  .value_bytes = share};
      kernels().plane_multiply(panel_, x, table.scale, number > 0, to, extras);
    }
  }

  // The outliers of `rows` rows from `row` on in a piece. Pieces of a component follow each other:
  // `cursors` has for every row where its outliers of the next piece begin.
  void find_outliers(const State& state, std::size_t row, std::size_t rows, const Piece& piece,
                     std::uint64_t* cursors, std::vector<PlaneOutlier>& outliers) const {
    outliers.clear();
    const RowSidecar& sidecar = state.sidecar;
    if (sidecar.row_begin.empty()) return;
    const std::size_t d = state.tensor.vector_size;
    const auto& scales = state.tensor.channel_scales;
    const std::size_t end = (piece.begin + piece.columns) * d;
    for (std::size_t r = 0; r < rows; ++r) {
      std::uint64_t& at = cursors[row - begin_ + r];
      if (piece.begin == 0) at = sidecar.row_begin[row + r];
      for (; at < sidecar.row_begin[row + r + 1] && sidecar.columns[at] < end; ++at) {
        const std::size_t column = sidecar.columns[at];
        if (column % d != piece.component) continue;
        outliers.push_back({static_cast<std::uint32_t>(r),
                            static_cast<std::uint32_t>(column / d - piece.begin),
                            sidecar.deltas[at] * (scales.empty() ? 1.0F : scales[column])});
      }
    }
  }

  std::span<const Source> sources_;
  std::size_t begin_;
  std::size_t end_;
  std::size_t first_;
  std::size_t count_;
  std::size_t width_;
  std::size_t panels_;
  std::int8_t* panel_;
  float* sums_;
  std::uint64_t* cursors_;
};

// task(begin, end, first, count): all groups of up to `most` panels of rows for one part of the
// batch after the other, whose x stays in the second-level cache from group to group where it fits.
template <typename Task>
void for_tasks(std::size_t rows, std::size_t most, std::size_t batch, ThreadPool& pool,
               const Task& task) {
  for (std::size_t first = 0; first < batch; first += kBatchAtOnce) {
    for_panel_groups(rows, kPanelRows, most, pool, [&](std::size_t begin, std::size_t end) {
      task(begin, end, first, std::min(kBatchAtOnce, batch - first));
    });
  }
}

}  // namespace

void plane_tile_product(const State& state, const float* x, std::size_t batch, float* y,
                        ThreadPool& pool) {
  thread_local InputMemory memory;
  const auto pieces = plane_input(state, x, batch, memory, pool);
  const Source source{&state, &pieces};
  for_tasks(state.rows(), kMostPanels, batch, pool,
            [&](std::size_t begin, std::size_t end, std::size_t first, std::size_t count) {
              PlaneTask({&source, 1}, begin, end, first, count).store(y + first * state.rows());
            });
  if (state.bias.empty() && state.tensor.svd_rank == 0) return;
  const auto low_rank = low_rank_input(state, x, batch);
  for_panels(state.rows(), kPanelRows, pool, [&](std::size_t begin, std::size_t end) {
    add_bias_and_low_rank(state, low_rank, begin, end, batch, y);
  });
}

void plane_gated_product(const State& gate, const State& up, const float* x, std::size_t batch,
                         float* y, ThreadPool& pool) {
  thread_local InputMemory memory[2];
  const auto gate_pieces = plane_input(gate, x, batch, memory[0], pool);
  const bool shared = gate.inverse_scales == up.inverse_scales;
  const auto up_pieces = shared ? gate_pieces : plane_input(up, x, batch, memory[1], pool);
  const Source sources[] = {{&gate, &gate_pieces}, {&up, &up_pieces}};
  for_tasks(gate.rows(), kMostPanels / 2, batch, pool,
            [&](std::size_t begin, std::size_t end, std::size_t first, std::size_t count) {
              const PlaneTask task(sources, begin, end, first, count);
              gate.kernels->silu_multiply(task.sums(0), task.sums(1), task.sum_count(),
                                          task.sums(0));
              task.store(y + first * gate.rows());
            });
}

}  // namespace helix
