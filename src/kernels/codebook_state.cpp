#include "kernels/codebook_state.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

namespace helix {
namespace {

// Of a codebook's 16-bit form, as a share of its root mean square. BF16 is off by 1.5e-3 to 2.2e-3.
constexpr double kLargestTableError = 6e-4;
constexpr double kLargestShapeError = 1.5e-3;  // for two to three times the speed

double largest_error(TableForm form) {
  return std::ranges::find(kShapeForms, form) != std::end(kShapeForms) ? kLargestShapeError
                                                                       : kLargestTableError;
}

// How often entries occur in 16 stretches of the indices, other than where outliers replace them:
// enough to weigh the errors of a table, without reading the whole file.
std::vector<std::uint64_t> sample_histogram(const CompressedTensor& tensor) {
  constexpr std::uint64_t kStretches = 16;
  std::vector<std::uint64_t> counts(tensor.codebook_size());
  std::vector<std::uint16_t> part(4096);
  const std::uint64_t total = tensor.index_count();
  for (std::uint64_t i = 0; i < kStretches; ++i) {
    const std::uint64_t begin = total / kStretches * i;
    const std::uint64_t count = std::min<std::uint64_t>(part.size(), total - begin);
    read_indices(tensor, begin, std::span(part).first(count));
    for (std::uint64_t j = 0; j < count; ++j) ++counts[part[j]];
    const auto vector_of = [&](std::int64_t position) {
      return static_cast<std::uint64_t>(position) / tensor.vector_size;
    };
    std::uint64_t next = begin;
    auto outlier = std::ranges::lower_bound(tensor.sidecar_positions, begin, {}, vector_of);
    for (; outlier != tensor.sidecar_positions.end(); ++outlier) {
      const std::uint64_t at = vector_of(*outlier);
      if (at >= begin + count) break;
      if (at >= next) --counts[part[at - begin]];
      next = at + 1;  // a vector may have several
    }
  }
  return counts;
}

// The least of 1, 2 and 4 by which the codebook's range takes in the outliers, or 4.
float outlier_headroom(const CompressedTensor& tensor) {
  float peak = 0.0F;
  for (const float value : tensor.codebook) peak = std::max(peak, std::fabs(value));
  float outlier = 0.0F;
  for (const float value : tensor.sidecar_values) outlier = std::max(outlier, std::fabs(value));
  if (outlier <= peak) return 1.0F;
  return outlier <= 2.0F * peak ? 2.0F : 4.0F;
}

std::uint16_t index_at(const CompressedTensor& tensor, std::uint64_t position) {
  std::uint16_t index = 0;
  read_indices(tensor, position, std::span(&index, 1));
  return index;
}

// Leaves state.fixed false where 16 bits would not do.
void prepare_fixed_tables(CodebookMatrix::State& state) {
  const CompressedTensor& tensor = state.tensor;
  const KernelTable& kernels = *state.kernels;
  if (kernels.fixed_rows == nullptr) return;
  const auto weights = sample_histogram(tensor);
  const auto make = [&](float headroom, TableForm form) {
    return make_fixed_tables(tensor.codebook, tensor.vector_size, weights, headroom, form);
  };
  state.row_tables = make(1.0F, kernels.plain_form);
  if (state.row_tables.relative_error > kLargestTableError) return;
  state.panel_tables = state.row_tables;
  for (const TableForm form : std::span(kernels.row_forms, kernels.row_form_count)) {
    FixedTables tables = make(1.0F, form);
    if (tables.relative_error > largest_error(form)) continue;
    state.row_tables = std::move(tables);
    break;
  }
  state.fixed = true;
  for (std::uint8_t i = 0; i < 64; ++i) state.position_of[kernels.column_order[i]] = i;
  if (kernels.plane_multiply != nullptr) return;
  const auto group = static_cast<float>(kernels.panel_group);  // leaves panels fewer bits
  state.panel_tables = make(group * outlier_headroom(tensor), kernels.plain_form);
  if (state.panel_tables.relative_error > kLargestTableError) {
    state.panel_tables = make(group, kernels.plain_form);
  }
}

}  // namespace

void prepare_tables(CodebookMatrix::State& state, Precision precision) {
  const CompressedTensor& tensor = state.tensor;
  if (tensor.index_format != IndexFormat::kU8 || tensor.codebook_size() > 256) return;
  if (precision != Precision::kF32) prepare_fixed_tables(state);
  if (!state.fixed && tensor.vector_size == 1 && state.kernels->lookup_rows != nullptr) {
    state.half_tables = make_half_tables(tensor.codebook);
  }
}

RowSidecar make_row_sidecar(const CompressedTensor& tensor) {
  constexpr std::size_t kAhead = 32;  // indices lie far apart
  RowSidecar sidecar;
  const std::size_t count = tensor.sidecar_positions.size();
  if (count == 0) return sidecar;
  const auto position = [&](std::size_t i) {
    return static_cast<std::uint64_t>(tensor.sidecar_positions[i]);
  };
  const std::uint32_t d = tensor.vector_size;
  const auto& scales = tensor.channel_scales;
  sidecar.row_begin.assign(tensor.rows + 1, count);
  sidecar.rows.resize(count);
  sidecar.columns.resize(count);
  sidecar.deltas.resize(count);
  std::size_t rows = 0;  // that have begun
  for (std::size_t i = 0; i < count; ++i) {
    if (i + kAhead < count) {
      const std::uint64_t next = position(i + kAhead) / d / 2 * 2;
      __builtin_prefetch(tensor.indices.data() + index_bytes(tensor.index_format, next));
    }
    for (; rows * tensor.columns <= position(i); ++rows) sidecar.row_begin[rows] = i;
    sidecar.rows[i] = static_cast<std::uint32_t>(rows - 1);
    sidecar.columns[i] = static_cast<std::uint32_t>(position(i) - (rows - 1) * tensor.columns);
    const std::size_t entry = index_at(tensor, position(i) / d);
    sidecar.deltas[i] = tensor.sidecar_values[i] - tensor.codebook[entry * d + position(i) % d];
    if (!scales.empty()) sidecar.deltas[i] /= scales[sidecar.columns[i]];
  }
  return sidecar;
}

void decode_stored_row(const CodebookMatrix::State& state, std::size_t row, std::uint16_t* indices,
                       float* out) {
  const CompressedTensor& tensor = state.tensor;
  const std::size_t count = tensor.index_columns();
  const std::uint32_t d = tensor.vector_size;
  const float* codebook = tensor.codebook.data();
  if (tensor.index_format == IndexFormat::kU8 && d == 1) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(tensor.indices.data());
    state.kernels->lookup_u8(codebook, bytes + row * count, count, out);
  } else {
    read_indices(tensor, row * count, std::span(indices, count));
    if (d == 1) {
      state.kernels->lookup_u16(codebook, indices, count, out);
    } else {
      for (std::size_t i = 0; i < count; ++i) {
        const float* vector = codebook + std::size_t{indices[i]} * d;
        for (std::uint32_t j = 0; j < d; ++j) out[i * d + j] = vector[j];
      }
    }
  }
  const RowSidecar& sidecar = state.sidecar;
  if (sidecar.row_begin.empty()) return;
  for (std::uint64_t i = sidecar.row_begin[row]; i < sidecar.row_begin[row + 1]; ++i) {
    out[sidecar.columns[i]] = state.tensor.sidecar_values[i];
  }
}

}  // namespace helix
