#pragma once

#include <nanobind/nanobind.h>

#include <string>

#include "helix/error.h"

namespace helix::python {

// The entry `name` of a dict of options as a T; throws Error(kInvalidArgument) where it is none.
template <typename T>
T field(const nanobind::dict& fields, const char* name) {
  const nanobind::object value = fields[name];
  T result{};
  if (!nanobind::try_cast<T>(value, result)) {
    throw Error(ErrorCode::kInvalidArgument, std::string(name) + " " +
                                                 nanobind::repr(value).c_str() +
                                                 ": of a wrong type, or out of range");
  }
  return result;
}

}  // namespace helix::python
