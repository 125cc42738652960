#include "codec/row_decoder.h"

#include <cstddef>

namespace helix {

RowDecoder::RowDecoder(const CompressedTensor& tensor)
    : tensor_(tensor),
      is_simple_(tensor.index_format == IndexFormat::kU8 && tensor.vector_size == 1 &&
                 tensor.svd_rank == 0) {}

void RowDecoder::look_up(std::span<float> out) {
  const std::uint64_t begin = row_ * tensor_.columns;
  const std::byte* indices = tensor_.indices.data() + begin;
  const float* levels = tensor_.codebook.data();
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = levels[static_cast<std::size_t>(indices[i])];
  const auto& positions = tensor_.sidecar_positions;
  for (; outlier_ < positions.size(); ++outlier_) {
    const std::uint64_t column = static_cast<std::uint64_t>(positions[outlier_]) - begin;
    if (column >= out.size()) break;
    out[column] = tensor_.sidecar_values[outlier_];
  }
  const auto& scales = tensor_.channel_scales;
  for (std::size_t i = 0; i < scales.size(); ++i) out[i] /= scales[i];
}

void RowDecoder::next(std::span<float> out) {
  if (is_simple_) {
    look_up(out);
  } else {
    decode_rows(tensor_, row_, out);
  }
  ++row_;
}

}  // namespace helix
