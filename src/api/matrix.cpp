#include "helix/matrix.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>

#include "base/message.h"
#include "base/shared_threads.h"
#include "kernels/codebook_matmul.h"
#include "kernels/codebook_matmul_transposed.h"
#include "kernels/codebook_state.h"
#include "kernels/scratch.h"

namespace helix {
namespace {

// Made when first asked for, by whichever thread asks.
class PreparedMatrix {
 public:
  const CodebookMatrix& get(const CompressedTensor& tensor, const std::vector<float>& bias,
                            Precision precision) {
    std::call_once(once_, [&] { matrix_.emplace(tensor, bias, MatrixOptions{precision, {}}); });
    return *matrix_;
  }

 private:
  std::once_flag once_;
  std::optional<CodebookMatrix> matrix_;
};

void check_dtype(DType dtype) {
  if (dtype != DType::kF32 && dtype != DType::kF16 && dtype != DType::kBF16) {
    throw_error(ErrorCode::kInvalidArgument, "dtype ", dtype_name(dtype),
                ", expected F32, F16 or BF16");
  }
}

void check_bytes(std::uint64_t rows, std::uint64_t columns, DType dtype, std::size_t found) {
  const std::uint64_t expected = rows * columns * dtype_bytes(dtype);
  if (found != expected) {
    throw_error(ErrorCode::kInvalidArgument, "a result of [", rows, ", ", columns, "] in ",
                dtype_name(dtype), " takes ", expected, " bytes, found ", found);
  }
}

// The batch of `x`, a (batch, columns) array.
std::size_t batch_of(const TensorView& x, std::uint64_t columns) {
  check_dtype(x.dtype);
  if (x.shape.size() != 2 || x.shape[1] != columns ||
      x.data.size() != element_count(x.shape) * dtype_bytes(x.dtype)) {
    throw_error(ErrorCode::kInvalidArgument, "an operand of shape ", shape_text(x.shape), " and ",
                x.data.size(), " bytes, expected [batch, ", columns, "] in ", dtype_name(x.dtype));
  }
  return x.shape[0];
}

// Parts of [0, count) large enough to be worth a thread.
void for_parts(std::size_t count, ThreadPool& pool,
               const std::function<void(std::size_t, std::size_t)>& task) {
  constexpr std::size_t kPart = std::size_t{1} << 14;
  pool.run((count + kPart - 1) / kPart,
           [&](std::size_t part) { task(part * kPart, std::min(count, (part + 1) * kPart)); });
}

bool is_aligned(const void* data) {
  return reinterpret_cast<std::uintptr_t>(data) % alignof(float) == 0;
}

// `x` as floats: where it lies, or in `memory`.
std::span<const float> as_floats(const TensorView& x, Scratch& memory, ThreadPool& pool) {
  const std::size_t count = element_count(x.shape);
  if (x.dtype == DType::kF32 && is_aligned(x.data.data())) {
    return {reinterpret_cast<const float*>(x.data.data()), count};
  }
  auto* floats = memory.get<float>(count);
  for_parts(count, pool, [&](std::size_t begin, std::size_t end) {
    read_floats(x, begin, std::span(floats + begin, end - begin));
  });
  return {floats, count};
}

// Where to compute `count` floats that become `y` in `dtype`: in place, or in `memory`.
std::span<float> room_for(std::size_t count, DType dtype, std::span<std::byte> y, Scratch& memory) {
  if (dtype == DType::kF32 && is_aligned(y.data())) {
    return {reinterpret_cast<float*>(y.data()), count};
  }
  return {memory.get<float>(count), count};
}

void deliver(std::span<const float> values, DType dtype, std::span<std::byte> y, ThreadPool& pool) {
  if (static_cast<const void*>(values.data()) == y.data()) return;
  const std::size_t size = dtype_bytes(dtype);
  for_parts(values.size(), pool, [&](std::size_t begin, std::size_t end) {
    write_floats(values.subspan(begin, end - begin), dtype,
                 y.subspan(begin * size, (end - begin) * size));
  });
}

// Operand and result as F32, kept between calls.
struct ProductMemory {
  Scratch in;
  Scratch out;
};

ProductMemory& product_memory() {
  thread_local ProductMemory memory;
  return memory;
}

using Product = std::function<void(std::span<const float>, std::span<float>, ThreadPool&)>;

void run_product(const TensorView& x, std::uint64_t columns, std::span<std::byte> y,
                 std::size_t thread_count, const Product& product) {
  with_shared_threads(thread_count, [&](ThreadPool& pool) {
    const auto in = as_floats(x, product_memory().in, pool);
    const auto out = room_for(x.shape[0] * columns, x.dtype, y, product_memory().out);
    product(in, out, pool);
    deliver(out, x.dtype, y, pool);
  });
}

}  // namespace

struct Matrix::State {
  CompressedTensor tensor;
  std::vector<float> bias;
  mutable PreparedMatrix f32;
  mutable PreparedMatrix bf16;

  const CodebookMatrix& prepared(Precision precision) const {
    return (precision == Precision::kF32 ? f32 : bf16).get(tensor, bias, precision);
  }

  // As decode_rows(), by the kernels' lookups where there is no low-rank part.
  void decode_row(std::uint64_t row, std::span<float> out) const {
    if (tensor.svd_rank > 0) return decode_rows(tensor, row, out);
    thread_local Scratch memory;
    auto* indices = memory.get<std::uint16_t>(tensor.columns);
    decode_stored_row(prepared(Precision::kF32).state(), row, indices, out.data());
    const auto& scales = tensor.channel_scales;
    for (std::size_t i = 0; i < scales.size(); ++i) out[i] /= scales[i];
  }

  // y (count, columns) = rows row_of(0), row_of(1), ...
  template <typename RowOf>
  void gather(std::size_t count, const RowOf& row_of, DType dtype, std::span<std::byte> y,
              std::size_t thread_count) const {
    const std::size_t row_bytes = tensor.columns * dtype_bytes(dtype);
    const std::size_t step = std::max<std::size_t>(1, (std::size_t{1} << 15) / tensor.columns);
    const auto part = [&](std::size_t index) {
      thread_local Scratch memory;
      const std::span<float> line(memory.get<float>(tensor.columns), tensor.columns);
      for (std::size_t i = index * step; i < std::min(count, (index + 1) * step); ++i) {
        decode_row(row_of(i), line);
        write_floats(line, dtype, y.subspan(i * row_bytes, row_bytes));
      }
    };
    const std::size_t parts = (count + step - 1) / step;
    with_shared_threads(parts > 1 ? thread_count : 1, [&](auto& pool) { pool.run(parts, part); });
  }
};

Matrix::Matrix(CompressedTensor tensor, std::vector<float> bias)
    : state_(std::make_unique<State>()) {
  state_->tensor = std::move(tensor);
  state_->bias = std::move(bias);
  check_matrix(state_->tensor, state_->bias);
}

Matrix::~Matrix() = default;
Matrix::Matrix(Matrix&&) noexcept = default;
Matrix& Matrix::operator=(Matrix&&) noexcept = default;

std::uint64_t Matrix::rows() const noexcept { return state_->tensor.rows; }
std::uint64_t Matrix::columns() const noexcept { return state_->tensor.columns; }
const CompressedTensor& Matrix::tensor() const noexcept { return state_->tensor; }

void Matrix::multiply(const TensorView& x, std::span<std::byte> y,
                      const ProductOptions& options) const {
  const std::size_t batch = batch_of(x, columns());
  check_bytes(batch, rows(), x.dtype, y.size());
  const CodebookMatrix& matrix = state_->prepared(options.precision);
  run_product(x, rows(), y, options.thread_count,
              [&](auto in, auto out, ThreadPool& pool) { matrix.multiply(in, batch, out, pool); });
}

void Matrix::multiply_transposed(const TensorView& g, std::span<std::byte> y,
                                 std::size_t thread_count) const {
  const std::size_t batch = batch_of(g, rows());
  check_bytes(batch, columns(), g.dtype, y.size());
  const CodebookMatrix& matrix = state_->prepared(Precision::kF32);
  run_product(g, columns(), y, thread_count, [&](auto in, auto out, ThreadPool& pool) {
    helix::multiply_transposed(matrix, in, batch, out, pool);
  });
}

void Matrix::embed(std::span<const std::int64_t> ids, DType dtype, std::span<std::byte> y,
                   std::size_t thread_count) const {
  check_dtype(dtype);
  check_bytes(ids.size(), columns(), dtype, y.size());
  for (const std::int64_t id : ids) {
    if (id < 0 || static_cast<std::uint64_t>(id) >= rows()) {
      throw_error(ErrorCode::kInvalidArgument, "id ", id, " lies outside the ", rows(),
                  " rows of the embedding");
    }
  }
  const auto row_of = [&](std::size_t i) { return static_cast<std::uint64_t>(ids[i]); };
  state_->gather(ids.size(), row_of, dtype, y, thread_count);
}

void Matrix::decode(std::uint64_t row_begin, std::uint64_t row_end, DType dtype,
                    std::span<std::byte> y, std::size_t thread_count) const {
  check_dtype(dtype);
  if (row_begin > row_end || row_end > rows()) {
    throw_error(ErrorCode::kInvalidArgument, "rows [", row_begin, ", ", row_end,
                ") of a matrix of ", rows(), " rows");
  }
  check_bytes(row_end - row_begin, columns(), dtype, y.size());
  const auto row_of = [&](std::size_t i) { return row_begin + i; };
  state_->gather(row_end - row_begin, row_of, dtype, y, thread_count);
}

}  // namespace helix
