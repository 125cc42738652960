#pragma once

#include <cstdint>
#include <span>

#include "helix/compressed_tensor.h"
#include "helix/tensor.h"

namespace helix {

// out (ids, columns) = rows `ids` of `table` (rows, columns) as F32: exact for dense tables of F32,
// F16 and BF16, decode_rows() for compressed ones. Throws Error(kInvalidArgument) for an id that
// the table lacks or an `out` of another size, before anything is written.
void embed(const TensorView& table, std::span<const std::uint32_t> ids, std::span<float> out);
void embed(const CompressedTensor& table, std::span<const std::uint32_t> ids, std::span<float> out);

}  // namespace helix
