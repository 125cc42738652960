#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace helix {

enum class RopeScaling : std::uint8_t {
  kDefault,  // Su et al., 2021
  kLinear,   // frequencies divided by `factor`
  kDynamic,  // the base grows with the length of the sequence ("NTK-aware")
  kYarn,     // Peng et al., 2023
  kLlama3,   // low frequencies divided by `factor`, high ones kept, between them a ramp
};

// As in config.json's rope_theta and rope_scaling; what a kind does not name it ignores.
struct RopeOptions {
  RopeScaling scaling = RopeScaling::kDefault;
  std::size_t head_dim = 0;  // rotated numbers of a head, even
  double theta = 10000.0;
  double factor = 1.0;
  std::uint64_t max_positions = 0;              // max_position_embeddings (kDynamic)
  std::uint64_t original_max_positions = 0;     // of the pretraining (kYarn, kLlama3)
  double beta_fast = 32.0;                      // kYarn
  double beta_slow = 1.0;                       // kYarn
  bool truncate = true;                         // kYarn
  std::optional<double> attention_factor = {};  // kYarn
  std::optional<double> mscale = {};            // kYarn
  std::optional<double> mscale_all_dim = {};    // kYarn
  double low_frequency_factor = 1.0;            // kLlama3
  double high_frequency_factor = 4.0;           // kLlama3
};

// Inverse frequencies (head_dim / 2) and the factor that cosines and sines are multiplied by, as
// transformers computes them: F32 where it uses tensors, F64 where it uses Python numbers.
struct RopeFrequencies {
  std::vector<float> inverse;
  float attention_factor = 1.0F;
};

// `sequence_length` is the longest the sequence has been (kDynamic; the others ignore it). Throws
// Error(kInvalidArgument) for options that make no sense.
RopeFrequencies rope_frequencies(const RopeOptions& options, std::uint64_t sequence_length = 0);

// cosines, sines (positions, head_dim / 2), computed once for all layers.
struct RopeAngles {
  std::vector<float> cosines;
  std::vector<float> sines;
};
RopeAngles rope_angles(const RopeFrequencies& frequencies,
                       std::span<const std::uint32_t> positions);

// Rotates x (tokens, heads, head_dim) in place, the first half of a head against the second (the
// layout of Hugging Face checkpoints); `angles` has one row per token, x starts at `first_token` of
// them. Throws Error(kInvalidArgument) where sizes do not fit.
void apply_rope(const RopeAngles& angles, std::size_t heads, std::size_t head_dim,
                std::span<float> x, std::size_t first_token = 0);

}  // namespace helix
