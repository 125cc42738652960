#pragma once

#include <cstddef>

#include "kernels/rope.h"
#include "models/config_fields.h"

namespace helix {

// How config.json rotates positions: `rope_theta` with `rope_scaling`, or `rope_parameters` that
// holds both. Throws Error(kUnsupported) for a scaling that is not known, by name, with those that
// are; kCorruptData for numbers that make no sense.
RopeOptions read_rope_config(const ConfigFields& fields, std::size_t head_dim,
                             std::size_t max_positions);

}  // namespace helix
