#pragma once

#include <nanobind/nanobind.h>

#include <string>

#include "model.h"

namespace helix::python {

// Perplexity of `text` with the EvaluateOptions in `fields`; against `reference` too unless null.
nanobind::dict evaluate_text(SharedModel& shared, const std::string& text,
                             const nanobind::dict& fields, SharedModel* reference,
                             const nanobind::object& progress, const nanobind::object& log);

}  // namespace helix::python
