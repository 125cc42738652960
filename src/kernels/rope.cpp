#include "kernels/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/message.h"
#include "kernels/cpu/kernel_table.h"

namespace helix {
namespace {

// base^(2i / dim) as a tensor power: F32 operands and result.
std::vector<float> position_frequencies(double base, std::size_t dim) {
  std::vector<float> powers;
  for (std::size_t i = 0; i < dim; i += 2) {
    const float exponent = static_cast<float>(i) / static_cast<float>(dim);
    const double base_f32 = static_cast<float>(base);
    powers.push_back(static_cast<float>(std::pow(base_f32, static_cast<double>(exponent))));
  }
  return powers;
}

std::vector<float> inverse_frequencies(double base, std::size_t dim) {
  auto values = position_frequencies(base, dim);
  for (float& value : values) value = 1.0F / value;
  return values;
}

std::vector<float> linear(const RopeOptions& options) {
  auto values = inverse_frequencies(options.theta, options.head_dim);
  for (float& value : values) value /= static_cast<float>(options.factor);
  return values;
}

std::vector<float> dynamic(const RopeOptions& options, std::uint64_t sequence_length) {
  const auto longest = static_cast<double>(std::max(sequence_length, options.max_positions));
  const auto dim = static_cast<double>(options.head_dim);
  const double growth = options.factor * longest / static_cast<double>(options.max_positions) -
                        (options.factor - 1.0);
  return inverse_frequencies(options.theta * std::pow(growth, dim / (dim - 2.0)), options.head_dim);
}

// The dimension that turns `rotations` times over the pretraining's positions.
double correction_dimension(const RopeOptions& options, double rotations) {
  const auto positions = static_cast<double>(options.original_max_positions);
  return static_cast<double>(options.head_dim) *
         std::log(positions / (rotations * 2.0 * std::numbers::pi)) /
         (2.0 * std::log(options.theta));
}

std::vector<float> yarn(const RopeOptions& options) {
  double low = correction_dimension(options, options.beta_fast);
  double high = correction_dimension(options, options.beta_slow);
  if (options.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(options.head_dim) - 1.0);
  if (low == high) high += 0.001;
  auto values = position_frequencies(options.theta, options.head_dim);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const float ramp =
        (static_cast<float>(i) - static_cast<float>(low)) / static_cast<float>(high - low);
    const float extrapolation = 1.0F - std::clamp(ramp, 0.0F, 1.0F);
    const float interpolated = 1.0F / (static_cast<float>(options.factor) * values[i]);
    values[i] = interpolated * (1.0F - extrapolation) + 1.0F / values[i] * extrapolation;
  }
  return values;
}

double magnitude_scale(double factor, double mscale) {
  return factor <= 1.0 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

double yarn_attention_factor(const RopeOptions& options) {
  if (options.attention_factor) return *options.attention_factor;
  if (options.mscale.value_or(0.0) != 0.0 && options.mscale_all_dim.value_or(0.0) != 0.0) {
    return magnitude_scale(options.factor, *options.mscale) /
           magnitude_scale(options.factor, *options.mscale_all_dim);
  }
  return magnitude_scale(options.factor, 1.0);
}

std::vector<float> llama3(const RopeOptions& options) {
  const auto positions = static_cast<float>(options.original_max_positions);
  const auto low = static_cast<float>(options.low_frequency_factor);
  const auto high = static_cast<float>(options.high_frequency_factor);
  const auto factor = static_cast<float>(options.factor);
  auto values = inverse_frequencies(options.theta, options.head_dim);
  for (float& value : values) {
    const float wavelength = static_cast<float>(2.0 * std::numbers::pi) / value;
    if (wavelength < positions / high) continue;
    if (wavelength > positions / low) {
      value /= factor;
      continue;
    }
    const float smooth = (positions / wavelength - low) / (high - low);
    value = (1.0F - smooth) * value / factor + smooth * value;
  }
  return values;
}

void check(const RopeOptions& options) {
  const bool needs_original =
      options.scaling == RopeScaling::kYarn || options.scaling == RopeScaling::kLlama3;
  if (options.head_dim == 0 || options.head_dim % 2 != 0 || !(options.theta > 0.0) ||
      !(options.factor > 0.0) || (needs_original && options.original_max_positions == 0)) {
    throw_error(ErrorCode::kInvalidArgument, "rotary embedding of ", options.head_dim,
                " numbers, theta ", options.theta, ", factor ", options.factor,
                ", original positions ", options.original_max_positions);
  }
  if (options.scaling == RopeScaling::kDynamic &&
      (options.max_positions == 0 || options.head_dim == 2)) {
    throw_error(ErrorCode::kInvalidArgument, "dynamic rotary embedding of ", options.head_dim,
                " numbers and ", options.max_positions, " positions");
  }
  if (options.scaling == RopeScaling::kLlama3 &&
      options.high_frequency_factor <= options.low_frequency_factor) {
    throw_error(ErrorCode::kInvalidArgument, "high frequency factor ",
                options.high_frequency_factor, ", expected more than the low one, ",
                options.low_frequency_factor);
  }
}

RopeFrequencies unchecked_frequencies(const RopeOptions& options, std::uint64_t sequence_length) {
  switch (options.scaling) {
    case RopeScaling::kDefault: return {inverse_frequencies(options.theta, options.head_dim)};
    case RopeScaling::kLinear: return {linear(options)};
    case RopeScaling::kDynamic: return {dynamic(options, sequence_length)};
    case RopeScaling::kYarn:
      return {yarn(options), static_cast<float>(yarn_attention_factor(options))};
    case RopeScaling::kLlama3: return {llama3(options)};
  }
  throw_error(ErrorCode::kInternal, "unknown rotary scaling");
}

}  // namespace

RopeFrequencies rope_frequencies(const RopeOptions& options, std::uint64_t sequence_length) {
  check(options);
  RopeFrequencies result = unchecked_frequencies(options, sequence_length);
  const auto finite = [](float value) { return std::isfinite(value); };
  if (!finite(result.attention_factor) || !std::ranges::all_of(result.inverse, finite)) {
    throw_error(ErrorCode::kInvalidArgument, "rotary embedding with theta ", options.theta,
                " and factor ", options.factor, ": its frequencies are no finite numbers");
  }
  return result;
}

RopeAngles rope_angles(const RopeFrequencies& frequencies,
                       std::span<const std::uint32_t> positions) {
  RopeAngles angles;
  angles.cosines.reserve(positions.size() * frequencies.inverse.size());
  angles.sines.reserve(positions.size() * frequencies.inverse.size());
  for (const std::uint32_t position : positions) {
    for (const float inverse : frequencies.inverse) {
      const float angle = static_cast<float>(position) * inverse;
      const auto cosine = static_cast<float>(std::cos(static_cast<double>(angle)));
      const auto sine = static_cast<float>(std::sin(static_cast<double>(angle)));
      angles.cosines.push_back(cosine * frequencies.attention_factor);
      angles.sines.push_back(sine * frequencies.attention_factor);
    }
  }
  return angles;
}

void apply_rope(const RopeAngles& angles, std::size_t heads, std::size_t head_dim,
                std::span<float> x, std::size_t first_token) {
  const std::size_t half = head_dim / 2;
  const std::size_t token_size = heads * head_dim;
  if (head_dim % 2 != 0 || token_size == 0 || x.size() % token_size != 0 ||
      angles.cosines.size() < (first_token + x.size() / token_size) * half ||
      angles.sines.size() != angles.cosines.size()) {
    throw_error(ErrorCode::kInvalidArgument, "rotating ", x.size(), " numbers of ", heads,
                " heads of ", head_dim, " by ", angles.cosines.size(), " angles");
  }
  const KernelTable& kernels = active_kernels();
  for (std::size_t token = 0; token < x.size() / token_size; ++token) {
    for (std::size_t head = 0; head < heads; ++head) {
      const std::size_t at = (first_token + token) * half;
      kernels.rope(x.data() + token * token_size + head * head_dim, angles.cosines.data() + at,
                   angles.sines.data() + at, half);
    }
  }
}

}  // namespace helix
