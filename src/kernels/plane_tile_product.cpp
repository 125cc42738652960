// Large batches by tiles of bytes.
//
// A task makes y for kMostPanels panels of 32 rows. It takes kPlaneColumns columns at a time: their
// piece of a panel (16 KiB) is decoded into the first-level cache, where all batch rows pass by it;
// x for these columns (256 KiB for a batch of 512) and the task's sums (64 KiB a panel) stay in the
// second-level cache from panel to panel.

#include <algorithm>

#include "kernels/codebook_input.h"
#include "kernels/codebook_product.h"
#include "kernels/product_tile.h"
#include "kernels/scratch.h"

namespace helix {
namespace {

using State = CodebookMatrix::State;

constexpr std::size_t kPanelRows = 32;
constexpr std::size_t kMostPanels = 8;
constexpr std::size_t kBatchAtOnce = 512;

// Rows [begin, end) of y.
class PlaneTask {
 public:
  PlaneTask(const State& state, std::size_t begin, std::size_t end)
      : state_(state), kernels_(*state.kernels), begin_(begin), end_(end) {}

  // Batch rows [first, first + count) of what `pieces` describe; y starts at row `first`.
  void multiply(const std::vector<PlaneInput>& pieces, std::size_t first, std::size_t count,
                float* y) {
    thread_local Scratch panel_memory;
    thread_local Scratch sum_memory;
    auto* panel = panel_memory.get<std::int8_t>(2 * kPlaneColumns * kPanelRows);
    const std::size_t width = (count + 15) / 16 * 16;
    const std::size_t panels = (end_ - begin_ + kPanelRows - 1) / kPanelRows;
    auto* sums = sum_memory.get<float>(panels * kPanelRows * width);
    const auto part_of = [&](std::size_t number) {
      PlaneInput x = pieces[number % pieces.size()];
      x.values += first * x.steps * 2 * kFixedBlock;
      x.scales += first;
      x.blocks = width / 16;
      return x;
    };
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const PlaneInput x = part_of(i);
      const PlaneInput next = part_of(i + 1);
      const std::size_t share = (width * next.steps * 2 * kFixedBlock + panels - 1) / panels;
      const Piece piece = piece_of(pieces.size(), i);
      const FixedTable& table = state_.panel_tables.components[piece.component];
      for (std::size_t p = 0; p < panels; ++p) {
        const std::size_t row = begin_ + p * kPanelRows;
        const std::size_t rows = std::min(kPanelRows, end_ - row);
        float* to = sums + p * kPanelRows * width;
        kernels_.plane_panel(table, indices(row, piece), state_.tensor.index_columns(), rows,
                             piece.columns, panel);
        PlaneAhead ahead = {nullptr, state_.tensor.index_columns(), 0, next.values + p * share,
                            share};
        if (p + 1 < panels) {
          ahead.indices = indices(row + kPanelRows, piece);
          ahead.rows = std::min(kPanelRows, end_ - row - kPanelRows);
        } else if (i + 1 < pieces.size()) {
          ahead.indices = indices(begin_, piece_of(pieces.size(), i + 1));
          ahead.rows = std::min(kPanelRows, end_ - begin_);
        }
        kernels_.plane_multiply(panel, x, table.scale, i > 0, to, ahead);
        add_outliers(row, rows, piece, x, to);
      }
    }
    for (std::size_t n = 0; n < count; n += 16) {
      for (std::size_t p = 0; p < panels; ++p) {
        const std::size_t row = begin_ + p * kPanelRows;
        kernels_.plane_store(sums + (p * width + n) * kPanelRows, std::min(kPanelRows, end_ - row),
                             std::min<std::size_t>(16, count - n), y + n * state_.rows() + row,
                             state_.rows());
      }
    }
  }

 private:
  // Index columns [begin, begin + columns) of one component of the codebook's vectors.
  struct Piece {
    std::size_t component;
    std::size_t begin;
    std::size_t columns;
  };

  Piece piece_of(std::size_t pieces, std::size_t number) const {
    const std::size_t each = pieces / state_.tensor.vector_size;
    const std::size_t begin = number % each * kPlaneColumns;
    return {number / each, begin, std::min(kPlaneColumns, state_.tensor.index_columns() - begin)};
  }

  const std::uint8_t* indices(std::size_t row, const Piece& piece) const {
    return reinterpret_cast<const std::uint8_t*>(state_.tensor.indices.data()) +
           row * state_.tensor.index_columns() + piece.begin;
  }

  void add_outliers(std::size_t row, std::size_t rows, const Piece& piece, const PlaneInput& x,
                    float* sums) const {
    const RowSidecar& sidecar = state_.sidecar;
    if (sidecar.row_begin.empty()) return;
    const std::size_t d = state_.tensor.vector_size;
    const auto columns = sidecar.columns.begin();
    for (std::size_t r = 0; r < rows; ++r) {
      const auto from = columns + static_cast<std::ptrdiff_t>(sidecar.row_begin[row + r]);
      const auto to = columns + static_cast<std::ptrdiff_t>(sidecar.row_begin[row + r + 1]);
      const std::size_t end = (piece.begin + piece.columns) * d;
      for (auto at = std::lower_bound(from, to, piece.begin * d); at != to && *at < end; ++at) {
        if (*at % d != piece.component) continue;
        const float delta = sidecar.deltas[static_cast<std::size_t>(at - columns)];
        kernels_.plane_outlier(x, *at / d - piece.begin, delta, r, sums);
      }
    }
  }

  const State& state_;
  const KernelTable& kernels_;
  std::size_t begin_;
  std::size_t end_;
};

}  // namespace

void plane_tile_product(const State& state, const float* x, std::size_t batch, float* y,
                        ThreadPool& pool) {
  const auto pieces = plane_input(state, x, batch, pool);
  const bool low_rank_part = state.tensor.svd_rank > 0;
  const auto low_rank =
      low_rank_input(state, low_rank_part ? scaled_input(state, x, batch, pool) : x, batch);
  for_panel_groups(state.rows(), kPanelRows, kMostPanels, pool,
                   [&](std::size_t begin, std::size_t end) {
                     PlaneTask task(state, begin, end);
                     for (std::size_t first = 0; first < batch; first += kBatchAtOnce) {
                       task.multiply(pieces, first, std::min(kBatchAtOnce, batch - first),
                                     y + first * state.rows());
                     }
                     add_bias_and_low_rank(state, low_rank, begin, end, batch, y);
                   });
}

}  // namespace helix
