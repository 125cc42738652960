#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/message.h"
#include "codec/row_decoder.h"
#include "helix/codec.h"

namespace helix {
namespace {

constexpr std::size_t kLanes = 8;

// Sums in eight interleaved lanes: a fixed order that compilers turn into vector code.
class Comparison {
 public:
  void add(std::span<const float> decoded, std::span<const double> weights) {
    const std::size_t whole = decoded.size() - decoded.size() % kLanes;
    for (std::size_t i = 0; i < whole; i += kLanes) {
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        add_one(lane, decoded[i + lane], weights[i + lane]);
      }
    }
    for (std::size_t i = whole; i < decoded.size(); ++i) add_one(i - whole, decoded[i], weights[i]);
  }

  void add_to(Metrics& metrics) const {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      metrics.squared_error += error_[lane];
      metrics.squared_norm += norm_[lane];
      metrics.dot += dot_[lane];
      metrics.decoded_squared_norm += decoded_norm_[lane];
      metrics.max_error = std::max(metrics.max_error, max_[lane]);
    }
  }

 private:
  using Lanes = std::array<double, kLanes>;

  void add_one(std::size_t lane, double decoded, double weight) {
    const double error = decoded - weight;
    error_[lane] += error * error;
    norm_[lane] += weight * weight;
    dot_[lane] += decoded * weight;
    decoded_norm_[lane] += decoded * decoded;
    const double magnitude = std::abs(error);
    max_[lane] = magnitude > max_[lane] ? magnitude : max_[lane];
  }

  Lanes error_{}, norm_{}, dot_{}, decoded_norm_{}, max_{};
};

void read_doubles(const TensorView& matrix, std::uint64_t begin, std::span<float> floats,
                  std::span<double> out) {
  if (matrix.dtype == DType::kF64) {
    if (!out.empty()) std::memcpy(out.data(), matrix.data.data() + 8 * begin, out.size_bytes());
    return;
  }
  read_floats(matrix, begin, floats);
  std::copy(floats.begin(), floats.end(), out.begin());
}

}  // namespace

Metrics measure(const CompressedTensor& tensor, const TensorView& matrix) {
  if (matrix.shape != Shape{tensor.rows, tensor.columns}) {
    throw_error(ErrorCode::kInvalidArgument, "tensor of shape ", shape_text(matrix.shape),
                " compared with codes of ", shape_text({tensor.rows, tensor.columns}));
  }
  Metrics metrics;
  metrics.weight_count = tensor.rows * tensor.columns;
  metrics.outlier_count = tensor.sidecar_positions.size();
  metrics.stored_bytes = tensor.stored_bytes();
  Comparison comparison;
  RowDecoder rows(tensor);
  std::vector<float> decoded(tensor.columns);
  std::vector<float> floats(tensor.columns);
  std::vector<double> weights(tensor.columns);
  for (std::uint64_t row = 0; row < tensor.rows && tensor.columns > 0; ++row) {
    rows.next(decoded);
    read_doubles(matrix, row * tensor.columns, floats, weights);
    comparison.add(decoded, weights);
  }
  comparison.add_to(metrics);
  return metrics;
}

double Metrics::snr_db() const {
  if (squared_error == 0.0) return std::numeric_limits<double>::infinity();
  return 10.0 * std::log10(squared_norm / squared_error);
}

double Metrics::relative_squared_error() const {
  return squared_error == 0.0 ? 0.0 : squared_error / squared_norm;
}

double Metrics::cosine() const {
  if (squared_norm == 0.0 || decoded_squared_norm == 0.0) {
    return squared_norm == decoded_squared_norm ? 1.0 : 0.0;
  }
  return dot / (std::sqrt(squared_norm) * std::sqrt(decoded_squared_norm));
}

double Metrics::bits_per_weight() const {
  return weight_count == 0
             ? 0.0
             : 8.0 * static_cast<double>(stored_bytes) / static_cast<double>(weight_count);
}

Metrics& Metrics::operator+=(const Metrics& other) {
  squared_error += other.squared_error;
  squared_norm += other.squared_norm;
  dot += other.dot;
  decoded_squared_norm += other.decoded_squared_norm;
  max_error = std::max(max_error, other.max_error);
  weight_count += other.weight_count;
  outlier_count += other.outlier_count;
  stored_bytes += other.stored_bytes;
  return *this;
}

}  // namespace helix
