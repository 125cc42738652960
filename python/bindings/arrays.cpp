#include "arrays.h"

#include <string>

#include "helix/error.h"

namespace helix::python {

DType dtype_of(std::string_view name) {
  DType dtype{};
  if (!parse_dtype(name, dtype)) {
    throw Error(ErrorCode::kInvalidArgument,
                "dtype '" + std::string(name) + "', expected F32, F16, BF16 or F64");
  }
  return dtype;
}

TensorView view_at(std::uintptr_t address, std::string_view dtype, Shape shape) {
  TensorView view;
  view.dtype = dtype_of(dtype);
  const std::size_t count = element_count(shape) * dtype_bytes(view.dtype);
  view.shape = std::move(shape);
  view.data = bytes_at(address, count);
  return view;
}

std::span<std::byte> bytes_at(std::uintptr_t address, std::size_t count) {
  return {reinterpret_cast<std::byte*>(address), count};  // NOLINT(performance-no-int-to-ptr)
}

}  // namespace helix::python
