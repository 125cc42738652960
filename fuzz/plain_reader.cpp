#include "fuzz/plain_reader.h"

#include <cmath>
#include <cstring>

namespace helix::fuzz {
namespace {

using Parts = std::map<std::string, PlainTensor>;

template <typename Element>
std::vector<Element> elements(const PlainTensor& tensor) {
  std::vector<Element> values(tensor.data.size() / sizeof(Element));
  if (!values.empty()) std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
  return values;
}

bool is_finite_f32(const PlainTensor& tensor, std::size_t rank) {
  if (tensor.dtype != "F32" || tensor.shape.size() != rank) return false;
  for (const float value : elements<float>(tensor)) {
    if (!std::isfinite(value)) return false;
  }
  return true;
}

// The indices one after the other, whatever their form.
std::optional<std::vector<unsigned>> unpack(const PlainTensor& indices, std::uint64_t count) {
  std::vector<unsigned> values;
  const auto& data = indices.data;
  if (indices.shape.size() == 2 && indices.dtype == "U8") {
    values.assign(data.begin(), data.end());
  } else if (indices.shape.size() == 2) {
    for (std::size_t i = 0; i < data.size(); i += 2) values.push_back(data[i] + 256U * data[i + 1]);
  } else {  // bit 0 of the stream is bit 0 of byte 0; index i is the 12 bits from bit 12 i
    if (count % 2 != 0 || count * 12 != data.size() * 8) return std::nullopt;
    for (std::uint64_t bit = 0; bit < count * 12; ++bit) {
      if (bit % 12 == 0) values.push_back(0);
      values.back() |= (data[bit / 8] >> (bit % 8) & 1U) << (bit % 12);
    }
  }
  if (values.size() != count) return std::nullopt;
  return values;
}

bool replace_outliers(const Parts& parts, PlainMatrix& matrix) {
  const bool first = parts.count("sidecar_positions") != 0;
  const bool second = parts.count("sidecar_indices") != 0;
  if (first && second) return false;
  if ((first || second) != (parts.count("sidecar_values") != 0)) return false;
  if (!first && !second) return true;
  const PlainTensor& tensor = parts.at(first ? "sidecar_positions" : "sidecar_indices");
  if (tensor.shape.size() != 1 || (tensor.dtype != "I64" && tensor.dtype != "I32")) return false;
  if (!is_finite_f32(parts.at("sidecar_values"), 1)) return false;
  std::vector<std::int64_t> positions;
  if (tensor.dtype == "I64") positions = elements<std::int64_t>(tensor);
  if (tensor.dtype == "I32") {
    for (const std::int32_t position : elements<std::int32_t>(tensor))
      positions.push_back(position);
  }
  const std::vector<float> values = elements<float>(parts.at("sidecar_values"));
  if (positions.size() != values.size()) return false;
  std::int64_t last = -1;
  for (std::size_t i = 0; i < positions.size(); ++i) {
    if (positions[i] <= last) return false;
    if (static_cast<std::uint64_t>(positions[i]) >= matrix.stored.size()) return false;
    last = positions[i];
    matrix.stored[static_cast<std::size_t>(last)] = values[i];
  }
  return true;
}

bool sum_low_rank(const Parts& parts, PlainMatrix& matrix) {
  const std::size_t present = parts.count("svd_U") + parts.count("svd_s") + parts.count("svd_Vt");
  if (present == 0) return true;
  if (present != 3) return false;
  const PlainTensor& left = parts.at("svd_U");
  const PlainTensor& middle = parts.at("svd_s");
  const PlainTensor& right = parts.at("svd_Vt");
  if (!is_finite_f32(left, 2) || !is_finite_f32(middle, 1) || !is_finite_f32(right, 2))
    return false;
  const std::uint64_t rank = middle.shape[0];
  if (left.shape != std::vector{matrix.rows, rank}) return false;
  if (right.shape != std::vector{rank, matrix.columns}) return false;
  const auto u = elements<float>(left);
  const auto s = elements<float>(middle);
  const auto vt = elements<float>(right);
  matrix.low_rank.assign(matrix.stored.size(), 0.0);
  matrix.size.assign(matrix.stored.size(), 0.0);
  for (std::size_t at = 0; at < matrix.stored.size(); ++at) {
    for (std::uint64_t i = rank; i-- > 0;) {
      const double term = double{vt[i * matrix.columns + at % matrix.columns]} *
                          (double{s[i]} * double{u[at / matrix.columns * rank + i]});
      matrix.low_rank[at] += term;
      matrix.size[at] += std::abs(term);
    }
  }
  return true;
}

bool read_scales(const Parts& parts, PlainMatrix& matrix) {
  const auto scales = parts.find("channel_scales");
  if (scales == parts.end()) return true;
  if (!is_finite_f32(scales->second, 1)) return false;
  matrix.scales = elements<float>(scales->second);
  for (const float scale : matrix.scales) {
    if (scale == 0.0F) return false;
  }
  return matrix.scales.size() == matrix.columns;
}

}  // namespace

std::optional<PlainMatrix> read_plainly(
    const Parts& parts, const std::optional<std::pair<std::uint64_t, std::uint64_t>>& shape) {
  if (parts.count("codebook") == 0 || parts.count("indices") == 0) return std::nullopt;
  const PlainTensor& book = parts.at("codebook");
  const PlainTensor& indices = parts.at("indices");
  if (!is_finite_f32(book, 1) && !is_finite_f32(book, 2)) return std::nullopt;
  const std::uint64_t vector = book.shape.size() == 2 ? book.shape[1] : 1;
  if (book.shape[0] == 0 || vector == 0 || vector > 256) return std::nullopt;
  const bool wide = indices.dtype == "U16" || indices.dtype == "I16";
  if (indices.dtype != "U8" && !wide) return std::nullopt;
  PlainMatrix matrix;
  if (indices.shape.size() == 2) {
    matrix.rows = indices.shape[0];
    matrix.columns = indices.shape[1] * vector;
  } else {
    if (indices.shape.size() != 1 || wide || !shape) return std::nullopt;
    matrix.rows = shape->first;
    matrix.columns = shape->second;
  }
  if (matrix.columns % vector != 0) return std::nullopt;
  const auto values = unpack(indices, matrix.rows * (matrix.columns / vector));
  if (!values) return std::nullopt;
  const auto levels = elements<float>(book);
  for (const unsigned value : *values) {
    if (value >= book.shape[0]) return std::nullopt;
    for (std::uint64_t i = 0; i < vector; ++i) matrix.stored.push_back(levels[value * vector + i]);
  }
  const bool valid =
      replace_outliers(parts, matrix) && sum_low_rank(parts, matrix) && read_scales(parts, matrix);
  return valid ? std::optional(matrix) : std::nullopt;
}

}  // namespace helix::fuzz
