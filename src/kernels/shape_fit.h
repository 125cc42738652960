#pragma once

#include <cstdint>
#include <span>

#include "kernels/cpu/kernel_table.h"

namespace helix {

// Lines and shapes for a codebook of 256 ascending whole numbers within 16 bits, as FixedTable
// describes them for `form` (kShifts, kShapes, kShapesAndEnds): `table` is what it calls shapes.
// `weights` (256, positive) say how much each number counts. `wanted` becomes what the table gives.
// False where products would leave 16 bits: no kernel may have that.
[[nodiscard]] bool fit_shapes(TableForm form, std::span<int> wanted,
                              std::span<const double> weights, std::uint8_t (&table)[8][32]);

}  // namespace helix
