#include "kernels/dense_matmul.h"

#include <algorithm>

#include "base/message.h"
#include "kernels/product_tile.h"
#include "kernels/scratch.h"

namespace helix {
namespace {

WeightType weight_type(DType dtype) {
  switch (dtype) {
    case DType::kF32: return WeightType::kF32;
    case DType::kF16: return WeightType::kF16;
    case DType::kBF16: return WeightType::kBF16;
    default:
      throw_error(ErrorCode::kUnsupported, "weights of type ", dtype_name(dtype),
                  " cannot be multiplied by; expected F32, F16 or BF16");
  }
}

struct DenseProduct {
  const KernelTable& kernels;
  WeightRows weights;
  std::size_t rows;
  std::span<const float> bias;
  const float* x;
  std::size_t batch;
  float* y;
};

void row_product(const DenseProduct& product, ThreadPool& pool) {
  const std::size_t row_bytes =
      product.weights.columns * (product.weights.type == WeightType::kF32 ? 4 : 2);
  for_row_parts(product.rows, row_bytes, pool, [&](std::size_t begin, std::size_t end) {
    product.kernels.f32_rows(product.weights, begin, end, product.x, product.batch, product.y,
                             product.rows);
    if (product.bias.empty()) return;
    for (std::size_t n = 0; n < product.batch; ++n) {
      for (std::size_t row = begin; row < end; ++row) {
        product.y[n * product.rows + row] += product.bias[row];
      }
    }
  });
}

void f32_tile_product(const DenseProduct& product, ThreadPool& pool) {
  const float* x = packed_input(product.x, product.weights.columns, product.batch, pool);
  const std::size_t step = product.kernels.panel_rows;
  for_panels(product.rows, step, pool, [&](std::size_t begin, std::size_t end) {
    thread_local Scratch panel_memory;
    thread_local Scratch tile_memory;
    auto* panel = panel_memory.get<float>(kColumnsAtOnce * step);
    auto* tile = tile_memory.get<float>(product.batch * step);
    f32_panel_product(product.kernels, product.weights, begin, end - begin, x, product.batch, panel,
                      tile);
    store_tile(tile, 1.0F, step, product.batch, begin, end - begin, product.bias, product.y,
               product.rows);
  });
}

void bf16_tile_product(const DenseProduct& product, ThreadPool& pool) {
  thread_local Scratch x_memory;
  const std::size_t columns = product.weights.columns;
  const std::size_t stride = (columns + 31) / 32 * 32;
  const std::size_t padded_batch = (product.batch + 31) / 32 * 32;
  auto* x = x_memory.get<std::uint16_t>(padded_batch * stride);
  std::fill_n(x, padded_batch * stride, std::uint16_t{0});
  for_panels(product.batch, 8, pool, [&](std::size_t begin, std::size_t end) {
    for (std::size_t n = begin; n < end; ++n) {
      for (std::size_t i = 0; i < columns; i += 32) {
        round_to_bf16(product.x + n * columns + i, std::min<std::size_t>(32, columns - i),
                      x + i * padded_batch + n * 32);
      }
    }
  });
  const std::size_t step = product.kernels.panel_rows;
  for_panels(product.rows, step, pool, [&](std::size_t begin, std::size_t end) {
    thread_local Scratch panel_memory;
    thread_local Scratch tile_memory;
    auto* panel = panel_memory.get<std::uint16_t>(stride * step);
    auto* tile = tile_memory.get<float>(padded_batch * step);
    std::fill_n(tile, padded_batch * step, 0.0F);
    product.kernels.bf16_panel(product.weights.data, columns, begin, end - begin, panel);
    product.kernels.bf16_multiply(panel, stride / 2, x, padded_batch, product.batch, tile);
    store_tile(tile, 1.0F, step, product.batch, begin, end - begin, product.bias, product.y,
               product.rows);
  });
}

}  // namespace

DenseMatrix::DenseMatrix(TensorView weight, std::vector<float> bias, const MatrixOptions& options)
    : weight_(std::move(weight)),
      bias_(std::move(bias)),
      kernels_(&kernel_table(options.isa ? *options.isa : active_isa())) {
  const WeightType type = weight_type(weight_.dtype);
  if (weight_.shape.size() != 2 || weight_.shape[0] == 0 || weight_.shape[1] == 0 ||
      weight_.data.size() != element_count(weight_.shape) * dtype_bytes(weight_.dtype)) {
    throw_error(ErrorCode::kInvalidArgument, "weights of shape ", shape_text(weight_.shape), " in ",
                weight_.data.size(), " bytes: expected a matrix");
  }
  if (!bias_.empty() && bias_.size() != rows()) {
    throw_error(ErrorCode::kInvalidArgument, "bias has ", bias_.size(), " numbers, expected ",
                rows());
  }
  bf16_dots_ = options.precision == Precision::kBf16 && type == WeightType::kBF16 &&
               kernels_->bf16_multiply != nullptr;
}

void DenseMatrix::multiply(std::span<const float> x, std::size_t batch, std::span<float> y,
                           ThreadPool& pool) const {
  if (x.size() != batch * columns() || y.size() != batch * rows()) {
    throw_error(ErrorCode::kInvalidArgument, "batch of ", batch, " times a [", rows(), ", ",
                columns(), "] matrix: x has ", x.size(), " numbers and y ", y.size());
  }
  if (batch == 0) return;
  const WeightRows weights{weight_.data.data(), columns(), weight_type(weight_.dtype)};
  const DenseProduct product{*kernels_, weights, rows(), bias_, x.data(), batch, y.data()};
  if (batch <= kMaxRowBatch) {
    row_product(product, pool);
  } else if (bf16_dots_) {
    bf16_tile_product(product, pool);
  } else {
    f32_tile_product(product, pool);
  }
}

}  // namespace helix
