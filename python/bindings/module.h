#pragma once

#include <nanobind/nanobind.h>

namespace helix::python {

// One file each: what it binds is described in python/helix_substrate/_native.pyi.
void bind_matrix(nanobind::module_& module);
void bind_encode(nanobind::module_& module);
void bind_checkpoint(nanobind::module_& module);
void bind_model(nanobind::module_& module);

}  // namespace helix::python
