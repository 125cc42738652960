#pragma once

#include <optional>

#include "helix/precision.h"
#include "kernels/isa.h"

namespace helix {

// How a weight matrix is prepared for products.
struct MatrixOptions {
  Precision precision = Precision::kBf16;
  std::optional<Isa> isa = {};  // active_isa() where empty
};

}  // namespace helix
