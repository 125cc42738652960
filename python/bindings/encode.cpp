#include <nanobind/nanobind.h>
#include <nanobind/stl/string_view.h>

#include <optional>
#include <string>

#include "arrays.h"
#include "encode_options.h"
#include "helix/codec.h"
#include "helix/error.h"
#include "metrics.h"
#include "module.h"

namespace nb = nanobind;

namespace helix::python {
namespace {

// The index matrix as the checkpoint stores it; the array keeps the tensor's memory alive.
nb::object index_array(const CompressedTensor& tensor) {
  const auto* bytes = tensor.indices.data();
  const std::shared_ptr<const void>& owner = tensor.index_owner;
  const std::vector<std::size_t> shape = {tensor.rows, tensor.index_columns()};
  switch (tensor.index_format) {
    case IndexFormat::kU8:
      return numpy_over(reinterpret_cast<const std::uint8_t*>(bytes), shape, owner);
    case IndexFormat::kU16:
      return numpy_over(reinterpret_cast<const std::uint16_t*>(bytes), shape, owner);
    case IndexFormat::kPacked12: break;
  }
  return numpy_over(reinterpret_cast<const std::uint8_t*>(bytes), {tensor.indices.size()}, owner);
}

nb::dict parts_of(CompressedTensor tensor) {
  nb::dict parts;
  parts["indices"] = index_array(tensor);
  const std::size_t k = tensor.codebook_size();
  const std::vector<std::size_t> codebook_shape =
      tensor.vector_size == 1 ? std::vector<std::size_t>{k}
                              : std::vector<std::size_t>{k, tensor.vector_size};
  parts["codebook"] = numpy_from(std::move(tensor.codebook), codebook_shape);
  if (const std::size_t count = tensor.sidecar_values.size(); count > 0) {
    parts["sidecar_positions"] = numpy_from(std::move(tensor.sidecar_positions), {count});
    parts["sidecar_values"] = numpy_from(std::move(tensor.sidecar_values), {count});
  }
  if (const std::size_t count = tensor.channel_scales.size(); count > 0) {
    parts["channel_scales"] = numpy_from(std::move(tensor.channel_scales), {count});
  }
  return parts;
}

nb::dict encode_array(std::uintptr_t address, std::string_view dtype, std::uint64_t rows,
                      std::uint64_t columns, std::uint32_t codebook_size,
                      const nb::object& outliers, std::string_view column_scales) {
  const EncodeOptions options = encode_options(codebook_size, outliers, column_scales);
  const TensorView view = view_at(address, dtype, {rows, columns});
  CompressedTensor tensor;
  Metrics metrics;
  {
    const nb::gil_scoped_release no_interpreter;
    tensor = encode(view, options);
    metrics = measure(tensor, view);
  }
  nb::dict parts = parts_of(std::move(tensor));
  parts["metrics"] = metrics_dict(metrics);
  return parts;
}

}  // namespace

void bind_encode(nb::module_& module) {
  module.def("encode", encode_array, nb::arg("address"), nb::arg("dtype"), nb::arg("rows"),
             nb::arg("columns"), nb::kw_only(), nb::arg("codebook_size") = 256,
             nb::arg("outliers") = "auto", nb::arg("column_scales") = "auto");
  module.def(
      "largest_outlier_count",
      [](const nb::object& outliers, std::uint64_t weight_count) {
        return largest_outlier_count(outlier_policy(outliers), weight_count);
      },
      nb::arg("outliers"), nb::arg("weight_count"));
}

}  // namespace helix::python
