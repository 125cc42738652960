#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "helix/compressed_tensor.h"
#include "kernels/codebook_matmul.h"
#include "kernels/fixed_table.h"

namespace helix {

// Where the sidecar's values are, row by row (CSR), and what they add to the codebook's, over the
// column's scale: for x as it is.
struct RowSidecar {
  std::vector<std::uint64_t> row_begin;  // (rows + 1), or empty where there are none
  std::vector<std::uint32_t> rows;
  std::vector<std::uint32_t> columns;
  std::vector<float> deltas;
};

struct CodebookMatrix::State {
  CompressedTensor tensor;
  std::vector<float> bias;
  const KernelTable* kernels = nullptr;
  bool fixed = false;
  FixedTables half_tables;  // of F32 products, where the codebook fits and products are not fixed
  FixedTables row_tables;
  FixedTables panel_tables;           // planes for tiles, or with headroom for outliers
  std::uint8_t position_of[64] = {};  // the inverse of column_order
  std::vector<float> inverse_scales;  // 1 / channel_scales
  RowSidecar sidecar;

  std::size_t rows() const { return tensor.rows; }
  std::size_t columns() const { return tensor.columns; }
};

void prepare_tables(CodebookMatrix::State& state, Precision precision);
RowSidecar make_row_sidecar(const CompressedTensor& tensor);

// One row as codebook and sidecar give it, before the low-rank part and channel_scales.
// `indices` has room for the row's.
void decode_stored_row(const CodebookMatrix::State& state, std::size_t row, std::uint16_t* indices,
                       float* out);

}  // namespace helix
