#pragma once

#include <nanobind/nanobind.h>

#include "helix/codec.h"

namespace helix::python {

nanobind::dict metrics_dict(const Metrics& metrics);

}  // namespace helix::python
