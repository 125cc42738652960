#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/cpu/kernel_table.h"

namespace helix {

// A codebook of at most 256 vectors of `vector_size` as one 16-bit table per component, all with
// the same scale.
struct FixedTables {
  std::vector<FixedTable> components;
  // Root mean square of the errors over that of the values, as often as they occur. An entry that
  // does not occur adds its error, once, and no value: it makes no other one's error look small.
  double relative_error = 0.0;
};

// `codebook` (k, vector_size); `weights` how often each of the k entries occurs. The largest number
// the tables stand for is `headroom` times the codebook's largest.
FixedTables make_fixed_tables(std::span<const float> codebook, std::uint32_t vector_size,
                              std::span<const std::uint64_t> weights, float headroom,
                              TableForm form);

// The low and the high 16 bits of F32 values: two tables, for a codebook of at most 256 numbers.
FixedTables make_half_tables(std::span<const float> codebook);

}  // namespace helix
