#include "kernels/codebook_matmul.h"

#include <algorithm>
#include <cmath>

#include "base/message.h"
#include "kernels/codebook_product.h"
#include "kernels/codebook_state.h"

namespace helix {

void check_matrix(const CompressedTensor& tensor, std::span<const float> bias) {
  const std::uint32_t d = tensor.vector_size;
  if (tensor.rows == 0 || tensor.columns == 0 || d == 0 || tensor.columns % d != 0 ||
      tensor.codebook.empty() || tensor.columns > UINT32_MAX || tensor.rows > UINT32_MAX) {
    throw_error(ErrorCode::kInvalidArgument, "a [", tensor.rows, ", ", tensor.columns,
                "] matrix of vectors of ", d, " cannot be multiplied by");
  }
  if (tensor.indices.size() != index_bytes(tensor.index_format, tensor.index_count())) {
    throw_error(ErrorCode::kInvalidArgument, "indices take ", tensor.indices.size(),
                " bytes, expected ", index_bytes(tensor.index_format, tensor.index_count()));
  }
  if (!bias.empty() && bias.size() != tensor.rows) {
    throw_error(ErrorCode::kInvalidArgument, "bias has ", bias.size(), " numbers, expected ",
                tensor.rows);
  }
}

CodebookMatrix::CodebookMatrix(CompressedTensor tensor, std::vector<float> bias,
                               const MatrixOptions& options) {
  check_matrix(tensor, bias);
  auto state = std::make_unique<State>();
  state->kernels = &kernel_table(options.isa ? *options.isa : active_isa());
  state->tensor = std::move(tensor);
  state->bias = std::move(bias);
  state->sidecar = make_row_sidecar(state->tensor);
  for (const float scale : state->tensor.channel_scales) {
    state->inverse_scales.push_back(1.0F / scale);
  }
  prepare_tables(*state, options.precision);
  state_ = std::move(state);
}

CodebookMatrix::~CodebookMatrix() = default;
CodebookMatrix::CodebookMatrix(CodebookMatrix&&) noexcept = default;
CodebookMatrix& CodebookMatrix::operator=(CodebookMatrix&&) noexcept = default;

std::size_t CodebookMatrix::rows() const noexcept { return state_->rows(); }
std::size_t CodebookMatrix::columns() const noexcept { return state_->columns(); }
const CompressedTensor& CodebookMatrix::tensor() const noexcept { return state_->tensor; }
bool CodebookMatrix::fixed_point() const noexcept { return state_->fixed; }

namespace {

void check_sizes(const CodebookMatrix& matrix, std::size_t x_size, std::size_t batch,
                 std::size_t y_size) {
  if (x_size == batch * matrix.columns() && y_size == batch * matrix.rows()) return;
  throw_error(ErrorCode::kInvalidArgument, "batch of ", batch, " times a [", matrix.rows(), ", ",
              matrix.columns(), "] matrix: x has ", x_size, " numbers and y ", y_size);
}

bool by_fixed_rows(const CodebookMatrix::State& state, std::size_t batch) {
  return state.fixed && batch <= state.kernels->row_batch;
}

}  // namespace

void CodebookMatrix::multiply(std::span<const float> x, std::size_t batch, std::span<float> y,
                              ThreadPool& pool) const {
  check_sizes(*this, x.size(), batch, y.size());
  if (batch == 0) return;
  const State& state = *state_;
  const bool panels = batch > kMaxRowBatch;
  if (by_fixed_rows(state, batch)) {
    const CodebookProduct product = {this, y};
    fixed_row_products({&product, 1}, x.data(), batch, pool);
  } else if (state.fixed && state.kernels->plane_multiply != nullptr) {
    plane_tile_product(state, x.data(), batch, y.data(), pool);
  } else if (state.fixed && state.kernels->fixed_panel != nullptr) {
    fixed_tile_product(state, x.data(), batch, y.data(), pool);
  } else if (panels) {
    f32_tile_product(state, x.data(), batch, y.data(), pool);
  } else if (!state.half_tables.components.empty()) {
    lookup_row_product(state, x.data(), batch, y.data(), pool);
  } else {
    f32_row_product(state, x.data(), batch, y.data(), pool);
  }
}

void multiply_together(std::span<const CodebookProduct> products, std::span<const float> x,
                       std::size_t batch, ThreadPool& pool) {
  for (const CodebookProduct& product : products) {
    check_sizes(*product.matrix, x.size(), batch, product.y.size());
  }
  if (batch > 0 && std::ranges::all_of(products, [&](const CodebookProduct& product) {
        return by_fixed_rows(product.matrix->state(), batch);
      })) {
    return fixed_row_products(products, x.data(), batch, pool);
  }
  for (const CodebookProduct& product : products) {
    product.matrix->multiply(x, batch, product.y, pool);
  }
}

bool multiply_gated(const CodebookMatrix& gate, const CodebookMatrix& up, std::span<const float> x,
                    std::size_t batch, std::span<float> y, ThreadPool& pool) {
  const auto one_shape = [](const CompressedTensor& a, const CompressedTensor& b) {
    return a.rows == b.rows && a.columns == b.columns && a.vector_size == b.vector_size;
  };
  const auto suits = [](const CodebookMatrix::State& state) {
    return state.fixed && state.kernels->plane_multiply != nullptr && state.bias.empty() &&
           state.tensor.svd_rank == 0;
  };
  check_sizes(gate, x.size(), batch, y.size());
  if (batch <= kMaxRowBatch || !one_shape(gate.tensor(), up.tensor()) || !suits(gate.state()) ||
      !suits(up.state())) {
    return false;
  }
  plane_gated_product(gate.state(), up.state(), x.data(), batch, y.data(), pool);
  return true;
}

}  // namespace helix
