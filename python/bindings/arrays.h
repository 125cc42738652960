#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "helix/tensor.h"

namespace helix::python {

// numpy arrays that come in: C-contiguous, on the CPU.
template <typename Element, typename... Shape>
using InArray =
    nanobind::ndarray<const Element, Shape..., nanobind::c_contig, nanobind::device::cpu>;

template <typename Array>
auto to_vector(const Array& array) {
  using Element = std::remove_const_t<typename Array::Scalar>;
  return std::vector<Element>(array.data(), array.data() + array.size());
}

// "F32", "F16", "BF16", ...; throws Error(kInvalidArgument) for another name.
DType dtype_of(std::string_view name);

// The arrays whose address a caller such as PyTorch hands over.
TensorView view_at(std::uintptr_t address, std::string_view dtype, Shape shape);
std::span<std::byte> bytes_at(std::uintptr_t address, std::size_t count);

// A numpy array of `shape` over `data`, which lives as long as `owner`.
template <typename Element>
nanobind::object numpy_over(Element* data, const std::vector<std::size_t>& shape,
                            std::shared_ptr<const void> owner) {
  auto* kept = new std::shared_ptr<const void>(std::move(owner));
  const nanobind::capsule capsule(
      kept, [](void* p) noexcept { delete static_cast<std::shared_ptr<const void>*>(p); });
  return nanobind::ndarray<nanobind::numpy, Element>(data, shape.size(), shape.data(), capsule)
      .cast();
}

// `values` as a numpy array of `shape`, not copied.
template <typename Element>
nanobind::object numpy_from(std::vector<Element> values, const std::vector<std::size_t>& shape) {
  auto owner = std::make_shared<std::vector<Element>>(std::move(values));
  return numpy_over(owner->data(), shape, owner);
}

}  // namespace helix::python
