#include "helix/matrix.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/tuple.h>

#include <limits>
#include <optional>
#include <string>
#include <tuple>

#include "arrays.h"
#include "helix/error.h"
#include "model.h"
#include "module.h"

namespace nb = nanobind;

namespace helix::python {
namespace {

using Codebook = InArray<float>;
using Positions = nb::ndarray<nb::ro, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Indices = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;
using Floats = InArray<float, nb::ndim<1>>;
using FloatMatrix = InArray<float, nb::ndim<2>>;
using LowRank = std::tuple<FloatMatrix, Floats, FloatMatrix>;

[[noreturn]] void corrupt(const std::string& message) {
  throw Error(ErrorCode::kCorruptData, message);
}

void set_codebook(CompressedTensor& tensor, const Codebook& codebook) {
  if (codebook.ndim() != 1 && codebook.ndim() != 2) {
    corrupt("codebook of rank " + std::to_string(codebook.ndim()) + ", expected 1 or 2");
  }
  const std::size_t d = codebook.ndim() == 2 ? codebook.shape(1) : 1;
  if (d == 0 || d > std::numeric_limits<std::uint32_t>::max() || tensor.columns % d != 0) {
    corrupt("vectors of " + std::to_string(d) + " weights do not fit " +
            std::to_string(tensor.columns) + " columns");
  }
  tensor.vector_size = static_cast<std::uint32_t>(d);
  tensor.codebook = to_vector(codebook);
}

IndexFormat index_format_of(const Indices& indices) {
  const auto type = indices.dtype();
  if (type == nb::dtype<std::uint8_t>()) {
    return indices.ndim() == 1 ? IndexFormat::kPacked12 : IndexFormat::kU8;
  }
  if (type == nb::dtype<std::uint16_t>() || type == nb::dtype<std::int16_t>()) {
    return IndexFormat::kU16;
  }
  corrupt("indices are neither U8, U16 nor I16");
}

void set_indices(CompressedTensor& tensor, const Indices& indices) {
  tensor.index_format = index_format_of(indices);
  const bool packed = tensor.index_format == IndexFormat::kPacked12;
  if (!packed && (indices.ndim() != 2 || indices.shape(0) != tensor.rows ||
                  indices.shape(1) != tensor.index_columns())) {
    corrupt("indices of another shape, expected [" + std::to_string(tensor.rows) + ", " +
            std::to_string(tensor.index_columns()) + "]");
  }
  tensor.indices = {static_cast<const std::byte*>(indices.data()), indices.nbytes()};
  // The last owner may go on a thread that does not hold the interpreter.
  tensor.index_owner = std::shared_ptr<const void>(new Indices(indices), [](const void* array) {
    const nb::gil_scoped_acquire interpreter;
    delete static_cast<const Indices*>(array);
  });
}

void set_sidecar(CompressedTensor& tensor, const std::optional<Positions>& positions,
                 const std::optional<Floats>& values) {
  if (positions.has_value() != values.has_value()) corrupt("half of a sidecar");
  if (!positions) return;
  const auto copy = [&]<typename Integer>(const Integer* from) {
    tensor.sidecar_positions.assign(from, from + positions->size());
  };
  if (positions->dtype() == nb::dtype<std::int64_t>()) {
    copy(static_cast<const std::int64_t*>(positions->data()));
  } else if (positions->dtype() == nb::dtype<std::int32_t>()) {
    copy(static_cast<const std::int32_t*>(positions->data()));
  } else {
    corrupt("sidecar positions are neither I64 nor I32");
  }
  tensor.sidecar_values = to_vector(*values);
}

void set_low_rank(CompressedTensor& tensor, const std::optional<LowRank>& low_rank) {
  if (!low_rank) return;
  const auto& [u, s, vt] = *low_rank;
  if (s.size() > std::numeric_limits<std::uint32_t>::max() || u.shape(1) != s.size() ||
      vt.shape(0) != s.size() || u.shape(0) != tensor.rows || vt.shape(1) != tensor.columns) {
    corrupt("low-rank part does not fit a [" + std::to_string(tensor.rows) + ", " +
            std::to_string(tensor.columns) + "] matrix");
  }
  tensor.svd_rank = static_cast<std::uint32_t>(s.size());
  tensor.svd_u = to_vector(u);
  tensor.svd_s = to_vector(s);
  tensor.svd_vt = to_vector(vt);
}

void make_matrix(Matrix* place, std::uint64_t rows, std::uint64_t columns, const Codebook& codebook,
                 const Indices& indices, const std::optional<Positions>& sidecar_positions,
                 const std::optional<Floats>& sidecar_values, const std::optional<LowRank>& svd,
                 const std::optional<Floats>& channel_scales, const std::optional<Floats>& bias,
                 bool validated) {
  CompressedTensor tensor;
  tensor.rows = rows;
  tensor.columns = columns;
  set_codebook(tensor, codebook);
  set_indices(tensor, indices);
  set_sidecar(tensor, sidecar_positions, sidecar_values);
  set_low_rank(tensor, svd);
  if (channel_scales) tensor.channel_scales = to_vector(*channel_scales);
  std::vector<float> bias_values;
  if (bias) bias_values = to_vector(*bias);
  const nb::gil_scoped_release no_interpreter;
  if (validated) validate(tensor, "matrix");
  new (place) Matrix(std::move(tensor), std::move(bias_values));
}

void multiply(const Matrix& matrix, std::uintptr_t x, std::uintptr_t y, std::size_t batch,
              std::string_view dtype, std::string_view precision, std::size_t threads) {
  const TensorView view = view_at(x, dtype, {batch, matrix.columns()});
  matrix.multiply(view, bytes_at(y, batch * matrix.rows() * dtype_bytes(view.dtype)),
                  {.precision = precision_of(precision), .thread_count = threads});
}

void multiply_transposed(const Matrix& matrix, std::uintptr_t g, std::uintptr_t y,
                         std::size_t batch, std::string_view dtype, std::size_t threads) {
  const TensorView view = view_at(g, dtype, {batch, matrix.rows()});
  matrix.multiply_transposed(view, bytes_at(y, batch * matrix.columns() * dtype_bytes(view.dtype)),
                             threads);
}

void embed(const Matrix& matrix, std::uintptr_t ids, std::size_t count, std::uintptr_t y,
           std::string_view dtype, std::size_t threads) {
  const auto* from =
      reinterpret_cast<const std::int64_t*>(ids);  // NOLINT(performance-no-int-to-ptr)
  const DType type = dtype_of(dtype);
  matrix.embed({from, count}, type, bytes_at(y, count * matrix.columns() * dtype_bytes(type)),
               threads);
}

void decode_rows(const Matrix& matrix, std::uintptr_t y, std::string_view dtype,
                 std::uint64_t row_begin, std::optional<std::uint64_t> row_end,
                 std::size_t threads) {
  const DType type = dtype_of(dtype);
  const std::uint64_t end = row_end.value_or(matrix.rows());
  const std::uint64_t count = end > row_begin ? end - row_begin : 0;
  matrix.decode(row_begin, end, type, bytes_at(y, count * matrix.columns() * dtype_bytes(type)),
                threads);
}

}  // namespace

void bind_matrix(nb::module_& module) {
  using Unlocked = nb::call_guard<nb::gil_scoped_release>;
  nb::class_<Matrix>(module, "Matrix")
      .def("__init__", make_matrix, nb::arg("rows"), nb::arg("columns"), nb::arg("codebook"),
           nb::arg("indices"), nb::arg("sidecar_positions") = nb::none(),
           nb::arg("sidecar_values") = nb::none(), nb::arg("svd") = nb::none(),
           nb::arg("channel_scales") = nb::none(), nb::arg("bias") = nb::none(),
           nb::arg("validate") = true)
      .def_prop_ro("rows", &Matrix::rows)
      .def_prop_ro("columns", &Matrix::columns)
      .def("multiply", multiply, nb::arg("x"), nb::arg("y"), nb::arg("batch"), nb::arg("dtype"),
           nb::arg("precision") = "bf16", nb::arg("threads") = 0, Unlocked())
      .def("multiply_transposed", multiply_transposed, nb::arg("g"), nb::arg("y"), nb::arg("batch"),
           nb::arg("dtype"), nb::arg("threads") = 0, Unlocked())
      .def("embed", embed, nb::arg("ids"), nb::arg("count"), nb::arg("y"), nb::arg("dtype"),
           nb::arg("threads") = 0, Unlocked())
      .def("decode", decode_rows, nb::arg("y"), nb::arg("dtype"), nb::arg("row_begin") = 0,
           nb::arg("row_end") = nb::none(), nb::arg("threads") = 0, Unlocked());
}

}  // namespace helix::python
