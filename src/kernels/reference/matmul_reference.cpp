#include "kernels/reference/matmul_reference.h"

namespace helix::reference {
namespace {

void multiply_row(std::span<const float> weights, std::size_t row, std::size_t rows,
                  std::span<const float> bias, std::span<const float> x, std::span<double> y) {
  for (std::size_t n = 0; n < y.size() / rows; ++n) {
    double sum = bias.empty() ? 0.0 : static_cast<double>(bias[row]);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      sum += static_cast<double>(weights[i]) * static_cast<double>(x[n * weights.size() + i]);
    }
    y[n * rows + row] = sum;
  }
}

}  // namespace

std::vector<double> dense_matmul(const TensorView& weight, std::span<const float> bias,
                                 std::span<const float> x, std::size_t batch) {
  const std::size_t rows = weight.shape[0];
  std::vector<double> y(batch * rows);
  std::vector<float> weights(weight.shape[1]);
  for (std::size_t row = 0; row < rows; ++row) {
    read_floats(weight, row * weights.size(), weights);
    multiply_row(weights, row, rows, bias, x, y);
  }
  return y;
}

std::vector<double> codebook_matmul(const CompressedTensor& weight, std::span<const float> bias,
                                    std::span<const float> x, std::size_t batch) {
  std::vector<double> y(batch * weight.rows);
  std::vector<float> weights(weight.columns);
  for (std::size_t row = 0; row < weight.rows; ++row) {
    decode_rows(weight, row, weights);
    multiply_row(weights, row, weight.rows, bias, x, y);
  }
  return y;
}

}  // namespace helix::reference
