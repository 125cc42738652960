#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <string_view>

#include "helix/codec.h"

namespace helix::python {

// "auto", "none", a count (int) or a share of the weights (float). Throws Error(kInvalidArgument)
// for anything else.
OutlierPolicy outlier_policy(const nanobind::object& value);

// `column_scales`: "auto" or "none". Throws Error(kInvalidArgument) for anything else.
EncodeOptions encode_options(std::uint32_t codebook_size, const nanobind::object& outliers,
                             std::string_view column_scales);

}  // namespace helix::python
