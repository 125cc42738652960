#pragma once

#include <cstdint>
#include <span>

namespace helix {

// Lines and shapes for a codebook of 256 ascending whole numbers within 16 bits, as FixedTable's
// kShapes or, with `ends`, kShapesAndEnds describes them: `table` is what it calls shapes.
// `weights` (256, positive) say how much each number counts. `wanted` becomes what the table gives.
void fit_shapes(std::span<int> wanted, std::span<const double> weights, bool ends,
                std::uint8_t (&table)[8][32]);

}  // namespace helix
