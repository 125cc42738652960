#include "kernels/fixed_table.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "helix/tensor.h"

namespace helix {
namespace {

constexpr int kSegment = 16;
constexpr int kBaseStep = 255;
constexpr int kCubicStep = 8 * 257;  // of t from entry to entry, in 1 / 32768

// The largest value of a form.
float peak_of(TableForm form) {
  switch (form) {
    case TableForm::kResiduals: return 127.0F * kBaseStep;  // a base within 8 bits
    case TableForm::kCubics: return 16383.0F;               // room for steep segments
    case TableForm::kPlanes: return static_cast<float>(kLargestPlaneValue);
    default: return 32767.0F;
  }
}

void set_value(FixedTable& table, std::size_t index, std::uint16_t bits) {
  table.values[index] = bits;
  table.low[index] = static_cast<std::uint8_t>(bits & 0xffU);
  const unsigned rounded = table.form == TableForm::kPlanes ? bits + 128U : bits;
  table.high[index] = static_cast<std::uint8_t>(rounded >> 8);
}

// Fits base, multiplier and residuals to 16 whole numbers and replaces them by what these give.
void fit_segment(FixedTable& table, int segment, std::span<int> wanted, std::uint8_t* residuals) {
  const auto [lowest, highest] = std::minmax_element(wanted.begin(), wanted.end());
  const int base = std::clamp(static_cast<int>(std::floor(*lowest / double{kBaseStep})), -128, 127);
  const int span = *highest - base * kBaseStep;
  const int multiplier = std::clamp((span + 254) / 255, 1, 127);
  table.base[segment] = static_cast<std::int8_t>(base);
  table.multiplier[segment] = static_cast<std::int8_t>(multiplier);
  for (int i = 0; i < kSegment; ++i) {
    const int offset = wanted[i] - base * kBaseStep;
    const int residual = std::clamp((offset + multiplier / 2) / multiplier, 0, 255);
    residuals[segment * kSegment + i] = static_cast<std::uint8_t>(residual);
    wanted[i] = std::min(32767, base * kBaseStep + multiplier * residual);
  }
}

void fit_residuals(FixedTable& table, std::span<int> wanted) {
  std::uint8_t residuals[256];
  for (int segment = 0; segment < 256 / kSegment; ++segment) {
    fit_segment(table, segment, wanted.subspan(segment * kSegment, kSegment), residuals);
  }
  for (int i = 0; i < 256; ++i) {
    const bool starts = i % 64 < kSegment;
    const auto step =
        static_cast<std::uint8_t>(starts ? residuals[i] : residuals[i] ^ residuals[i - kSegment]);
    std::uint8_t* segment = table.residual_steps[i / kSegment];
    segment[i % kSegment] = segment[kSegment + i % kSegment] = step;
  }
}

using Cubic = std::array<double, 4>;  // coefficients of 1, t, t^2, t^3

// Least squares by the normal equations. `weights` are positive.
Cubic fit_cubic(std::span<const int> wanted, std::span<const double> weights) {
  double rows[4][5] = {};
  for (int i = 0; i < kSegment; ++i) {
    const double t = i * kCubicStep / 32768.0;
    const double powers[5] = {1.0, t, t * t, t * t * t, static_cast<double>(wanted[i])};
    for (int r = 0; r < 4; ++r) {
      for (int c = 0; c < 5; ++c) rows[r][c] += weights[i] * powers[r] * powers[c];
    }
  }
  for (int pivot = 0; pivot < 4; ++pivot) {  // positive definite: no exchanges
    for (int r = pivot + 1; r < 4; ++r) {
      const double factor = rows[r][pivot] / rows[pivot][pivot];
      for (int c = pivot; c < 5; ++c) rows[r][c] -= factor * rows[pivot][c];
    }
  }
  Cubic cubic;
  for (int r = 3; r >= 0; --r) {
    double sum = rows[r][4];
    for (int c = r + 1; c < 4; ++c) sum -= rows[r][c] * cubic[c];
    cubic[r] = sum / rows[r][r];
  }
  return cubic;
}

// Replaces 256 whole numbers by what cubics give.
void fit_cubics(FixedTable& table, std::span<int> wanted, std::span<const double> weights) {
  const auto saturated = [](double value) {
    return static_cast<int>(std::lround(std::clamp(value, -32768.0, 32767.0)));
  };
  for (int segment = 0; segment < 256 / kSegment; ++segment) {
    const auto values = wanted.subspan(segment * kSegment, kSegment);
    const Cubic cubic = fit_cubic(values, weights.subspan(segment * kSegment, kSegment));
    for (int k = 0; k < 4; ++k) {
      const auto bits = static_cast<std::uint16_t>(saturated(cubic[k]));
      for (const int at : {segment, kSegment + segment}) {
        table.cubic[6 - 2 * k][at] = static_cast<std::uint8_t>(bits & 0xffU);
        table.cubic[7 - 2 * k][at] = static_cast<std::uint8_t>(bits >> 8);
      }
    }
    for (int i = 0; i < kSegment; ++i) {
      int value = saturated(cubic[3]);
      for (int k = 2; k >= 0; --k) {
        value = saturated(((value * i * kCubicStep + 16384) >> 15) + saturated(cubic[k]));
      }
      values[i] = value;
    }
  }
}

struct Error2 {
  double error = 0.0;
  double total = 0.0;
};

Error2 fill(FixedTable& table, std::span<const float> values,
            std::span<const std::uint64_t> weights, float peak, TableForm form) {
  table.form = form;
  table.scale = peak / peak_of(form);
  const double inverse = table.scale > 0.0F ? 1.0 / static_cast<double>(table.scale) : 0.0;
  int wanted[256] = {};
  double importance[256] = {};
  for (std::size_t i = 0; i < 256; ++i) {
    // Entries the codebook lacks repeat its last one, so that they widen no segment.
    const std::size_t entry = std::min(i, values.size() - 1);
    wanted[i] = static_cast<int>(std::lround(static_cast<double>(values[entry]) * inverse));
    importance[i] = static_cast<double>(weights[entry]);
  }
  if (form == TableForm::kResiduals) fit_residuals(table, wanted);
  if (form == TableForm::kCubics) fit_cubics(table, wanted, importance);
  Error2 sums;
  for (std::size_t i = 0; i < 256; ++i) {
    set_value(table, i, static_cast<std::uint16_t>(wanted[i]));
    if (i >= values.size()) continue;
    const double exact = values[i];
    const double error = exact - static_cast<double>(table.scale) * wanted[i];
    sums.error += importance[i] * error * error;
    sums.total += importance[i] * exact * exact;
  }
  return sums;
}

std::vector<float> component_of(std::span<const float> codebook, std::uint32_t vector_size,
                                std::uint32_t component) {
  std::vector<float> values;
  for (std::size_t i = component; i < codebook.size(); i += vector_size) {
    values.push_back(codebook[i]);
  }
  return values;
}

}  // namespace

FixedTables make_fixed_tables(std::span<const float> codebook, std::uint32_t vector_size,
                              std::span<const std::uint64_t> weights, float headroom,
                              TableForm form) {
  FixedTables tables;
  Error2 sums;
  float peak = 0.0F;
  for (const float value : codebook) peak = std::max(peak, std::fabs(value));
  for (std::uint32_t component = 0; component < vector_size; ++component) {
    const auto values = component_of(codebook, vector_size, component);
    const Error2 part =
        fill(tables.components.emplace_back(), values, weights, peak * headroom, form);
    sums.error += part.error;
    sums.total += part.total;
  }
  tables.relative_error = sums.total > 0.0 ? std::sqrt(sums.error / sums.total) : 0.0;
  return tables;
}

FixedTables make_half_tables(std::span<const float> codebook) {
  FixedTables tables;
  tables.components.resize(2);
  for (std::size_t i = 0; i < codebook.size(); ++i) {
    const auto bits = std::bit_cast<std::uint32_t>(codebook[i]);
    set_value(tables.components[0], i, static_cast<std::uint16_t>(bits & 0xffffU));
    set_value(tables.components[1], i, static_cast<std::uint16_t>(bits >> 16));
  }
  return tables;
}

}  // namespace helix
