#include "models/linear.h"

namespace helix {
namespace {

std::uint64_t bytes_of(const DenseMatrix& matrix) { return matrix.weight().data.size(); }
std::uint64_t bytes_of(const CodebookMatrix& matrix) { return matrix.tensor().stored_bytes(); }

}  // namespace

std::size_t Linear::rows() const {
  return std::visit([](const auto& matrix) { return matrix.rows(); }, matrix_);
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
  return codes() != nullptr && up.codes() != nullptr &&
         helix::multiply_gated(*codes(), *up.codes(), x, batch, y, pool);
}

void multiply_together(std::span<const LinearProduct> products, std::span<const float> x,
                       std::size_t batch, ThreadPool& pool) {
  std::vector<CodebookProduct> coded;
  for (const auto& [linear, y] : products) {
    if (linear->codes() != nullptr) {
      coded.push_back({linear->codes(), y});
    } else {
      linear->multiply(x, batch, y, pool);
    }
  }
  multiply_together(coded, x, batch, pool);
}

}  // namespace helix
