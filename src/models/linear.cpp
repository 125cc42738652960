#include "models/linear.h"

namespace helix {
namespace {

std::uint64_t bytes_of(const DenseMatrix& matrix) { return matrix.weight().data.size(); }
std::uint64_t bytes_of(const CodebookMatrix& matrix) { return matrix.tensor().stored_bytes(); }

}  // namespace

std::size_t Linear::rows() const {
  return std::visit([](const auto& matrix) { return matrix.rows(); }, matrix_);
}

std::size_t Linear::columns() const {
  return std::visit([](const auto& matrix) { return matrix.columns(); }, matrix_);
}

std::uint64_t Linear::weight_bytes() const {
  return std::visit([](const auto& matrix) { return bytes_of(matrix); }, matrix_);
}

void Linear::multiply(std::span<const float> x, std::size_t batch, std::span<float> y,
                      ThreadPool& pool) const {
  std::visit([&](const auto& matrix) { matrix.multiply(x, batch, y, pool); }, matrix_);
}

bool Linear::multiply_gated(const Linear& up, std::span<const float> x, std::size_t batch,
                            std::span<float> y, ThreadPool& pool) const {
  const auto* gate_codes = std::get_if<CodebookMatrix>(&matrix_);
  const auto* up_codes = std::get_if<CodebookMatrix>(&up.matrix_);
  return gate_codes != nullptr && up_codes != nullptr &&
         helix::multiply_gated(*gate_codes, *up_codes, x, batch, y, pool);
}

}  // namespace helix
