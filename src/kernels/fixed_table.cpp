#include "kernels/fixed_table.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "helix/tensor.h"
#include "kernels/shape_fit.h"

namespace helix {
namespace {

constexpr int kSegment = 16;
constexpr int kBaseStep = 255;

bool by_shapes(TableForm form) {
  return form == TableForm::kShifts || form == TableForm::kShapes ||
         form == TableForm::kShapesAndEnds;
}

// byte_step of kPairs: a small one leaves low bytes room for entries far apart, a large one makes
// all of them finer.
constexpr int kPairSteps[] = {16, 20, 24, 32, 40, 48, 64, 80, 96};

// What one step of 16 bits stands for.
float scale_of(TableForm form, int byte_step, std::span<const float> values, float peak) {
  if (form == TableForm::kPairs) return peak / static_cast<float>(127 * byte_step + 127);
  if (form == TableForm::kResiduals) return peak / (127.0F * kBaseStep);  // a base within 8 bits
  if (!by_shapes(form)) return peak / static_cast<float>(kLargestByteValue);
  const float scale = peak / 32500.0F;  // what shapes add to the largest stays within 16 bits
  if (values.size() < 4) return scale;
  // Slopes within 8 bits: in the middle entries are 110 steps apart (125 where slopes also stand
  // for bases), further out two or three times that.
  const float apart = form == TableForm::kShifts ? 125.0F : 110.0F;
  const std::size_t quarter = values.size() / 4;
  const float range = std::fabs(values[3 * quarter] - values[quarter]);
  return std::max(scale, range / static_cast<float>(2 * quarter) / apart);
}

void set_value(FixedTable& table, std::size_t index, std::uint16_t bits) {
  table.values[index] = bits;
  table.low[index] = static_cast<std::uint8_t>(bits & 0xffU);
  table.high[index] = static_cast<std::uint8_t>(bits >> 8);
}

void set_bytes(FixedTable& table) {
  for (std::size_t i = 0; i < 256; ++i) {
    table.low_byte[i] = static_cast<std::int8_t>(table.low[i]);
    table.high_byte[i] = static_cast<std::int8_t>((table.values[i] + 128U) >> 8);
  }
}

// Sets the bytes of 256 whole numbers and replaces these by what the bytes give.
void fit_pairs(FixedTable& table, std::span<int> wanted) {
  const int step = table.byte_step;
  for (std::size_t pair = 0; pair < 128; ++pair) {
    const double middle = (wanted[2 * pair] + wanted[2 * pair + 1]) / 2.0;
    const int high = std::clamp(static_cast<int>(std::lround(middle / step)), -127, 127);
    table.high_byte[pair] = static_cast<std::int8_t>(high);
    for (std::size_t i = 2 * pair; i < 2 * pair + 2; ++i) {
      const int low = std::clamp(wanted[i] - step * high, -128, 127);
      table.low_byte[i] = static_cast<std::int8_t>(low);
      wanted[i] = step * high + low;
    }
  }
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

struct Error2 {
  double error = 0.0;
  double total = 0.0;
};

Error2 fill(FixedTable& table, std::span<const float> values,
            std::span<const std::uint64_t> weights, float peak, TableForm form, int byte_step) {
  table.form = form;
  table.byte_step = byte_step;
  table.scale = scale_of(form, byte_step, values, peak);
  const double inverse = table.scale > 0.0F ? 1.0 / static_cast<double>(table.scale) : 0.0;
  int wanted[256] = {};
  double importance[256] = {};
  for (std::size_t i = 0; i < 256; ++i) {
    // Entries the codebook lacks repeat its last one, so that they widen no segment.
    const std::size_t entry = std::min(i, values.size() - 1);
    wanted[i] = static_cast<int>(std::lround(static_cast<double>(values[entry]) * inverse));
    importance[i] = static_cast<double>(std::max<std::uint64_t>(weights[entry], 1));
  }
  if (form == TableForm::kResiduals) fit_residuals(table, wanted);
  if (form == TableForm::kPairs) fit_pairs(table, wanted);
  const bool possible = !by_shapes(form) || fit_shapes(form, wanted, importance, table.shapes);
  Error2 sums;
  for (std::size_t i = 0; i < 256; ++i) {
    set_value(table, i, static_cast<std::uint16_t>(wanted[i]));
    if (i >= values.size()) continue;
    const double exact = values[i];
    const double error = exact - static_cast<double>(table.scale) * wanted[i];
    sums.error += importance[i] * error * error;
    sums.total += static_cast<double>(weights[i]) * exact * exact;
  }
  if (form == TableForm::kPlain) set_bytes(table);
  if (!possible) sums.error = HUGE_VAL;
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

FixedTables tables_by_step(std::span<const float> codebook, std::uint32_t vector_size,
                           std::span<const std::uint64_t> weights, float headroom, TableForm form,
                           int byte_step) {
  FixedTables tables;
  Error2 sums;
  float peak = 0.0F;
  for (const float value : codebook) peak = std::max(peak, std::fabs(value));
  for (std::uint32_t component = 0; component < vector_size; ++component) {
    const auto values = component_of(codebook, vector_size, component);
    const Error2 part =
        fill(tables.components.emplace_back(), values, weights, peak * headroom, form, byte_step);
    sums.error += part.error;
    sums.total += part.total;
  }
  if (sums.error > 0.0) tables.relative_error = std::sqrt(sums.error / sums.total);
  return tables;
}

}  // namespace

FixedTables make_fixed_tables(std::span<const float> codebook, std::uint32_t vector_size,
                              std::span<const std::uint64_t> weights, float headroom,
                              TableForm form) {
  const auto make = [&](int byte_step) {
    return tables_by_step(codebook, vector_size, weights, headroom, form, byte_step);
  };
  if (form != TableForm::kPairs) return make(256);
  FixedTables best = make(kPairSteps[0]);
  for (const int step : std::span(kPairSteps).subspan(1)) {
    FixedTables tables = make(step);
    if (tables.relative_error < best.relative_error) best = std::move(tables);
  }
  return best;
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
