#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/codebook_state.h"

namespace helix {

// A piece of a 16-bit panel: rows [row_begin, row_end) and, of one component of the codebook's
// vectors, `index_count` index columns from `index_begin` on, a multiple of 64.
struct PanelPiece {
  std::size_t component = 0;
  std::size_t row_begin = 0;
  std::size_t row_end = 0;
  std::size_t index_begin = 0;
  std::size_t index_count = 0;
};

// Puts the outliers of the piece into `panel`; encode(row, column, value) gives the 16 bits.
template <typename Encode>
void patch_panel(const CodebookMatrix::State& state, const PanelPiece& piece, std::uint16_t* panel,
                 const Encode& encode) {
  const RowSidecar& sidecar = state.sidecar;
  if (sidecar.row_begin.empty()) return;
  const std::size_t d = state.tensor.vector_size;
  const auto columns = sidecar.columns.begin();
  for (std::size_t row = piece.row_begin; row < piece.row_end; ++row) {
    const auto row_begin = static_cast<std::ptrdiff_t>(sidecar.row_begin[row]);
    const auto row_end = static_cast<std::ptrdiff_t>(sidecar.row_begin[row + 1]);
    const auto first =
        std::lower_bound(columns + row_begin, columns + row_end, piece.index_begin * d);
    const std::size_t column_end = (piece.index_begin + piece.index_count) * d;
    for (auto i = static_cast<std::size_t>(first - columns);
         i < sidecar.row_begin[row + 1] && sidecar.columns[i] < column_end; ++i) {
      const std::size_t column = sidecar.columns[i];
      if (column % d != piece.component) continue;
      const std::size_t at = column / d - piece.index_begin;
      const std::size_t position = at / 64 * 64 + state.position_of[at % 64];
      const std::size_t step = position / 2 * state.kernels->panel_rows + row - piece.row_begin;
      panel[step * 2 + position % 2] = encode(row, column, state.tensor.sidecar_values[i]);
    }
  }
}

}  // namespace helix
