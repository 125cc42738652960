#include "kernels/rope.h"

#include <gtest/gtest.h>

#include <cmath>

#include "helix/error.h"
#include "kernels/isa.h"
#include "kernels/kernel_test_data.h"

namespace helix {
namespace {

// Inverse frequencies that transformers 5.23 gives for heads of 16 (ROPE_INIT_FUNCTIONS, and the
// default of LlamaRotaryEmbedding).
void expect_frequencies(RopeOptions options, const std::vector<float>& expected,
                        std::uint64_t sequence_length = 0) {
  options.head_dim = 16;
  const RopeFrequencies found = rope_frequencies(options, sequence_length);
  ASSERT_EQ(found.inverse.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(found.inverse[i] / expected[i], 1.0F, 2.5e-7F) << "frequency " << i;
  }
}

const std::vector<float> kDefaultFrequencies = {1.0F,           0.316227764F,   0.100000001F,
                                                0.0316227786F,  0.00999999978F, 0.00316227786F,
                                                0.00100000005F, 0.000316227786F};

TEST(RopeFrequencies, Default) { expect_frequencies({}, kDefaultFrequencies); }

TEST(RopeFrequencies, Linear) {
  expect_frequencies({.scaling = RopeScaling::kLinear, .factor = 3.0},
                     {0.333333343F, 0.105409257F, 0.0333333351F, 0.0105409259F, 0.00333333318F,
                      0.00105409266F, 0.000333333359F, 0.000105409265F});
}

TEST(RopeFrequencies, DynamicGrowsWithTheSequence) {
  const RopeOptions options{.scaling = RopeScaling::kDynamic, .factor = 2.0, .max_positions = 2048};
  expect_frequencies(options, kDefaultFrequencies, 100);
  expect_frequencies(options,
                     {1.0F, 0.260517091F, 0.0678691566F, 0.0176810753F, 0.00460622227F,
                      0.00119999971F, 0.000312620425F, 8.14429659e-05F},
                     5000);
}

TEST(RopeFrequencies, Yarn) {
  const RopeOptions options{
      .scaling = RopeScaling::kYarn, .theta = 1e6, .factor = 4.0, .original_max_positions = 512};
  expect_frequencies(options, {1.0F, 0.133370951F, 0.0158113893F, 0.00140585331F, 0.000250000012F,
                               4.44569851e-05F, 7.90569356e-06F, 1.40585337e-06F});
  RopeOptions sized = options;
  sized.head_dim = 16;
  EXPECT_FLOAT_EQ(rope_frequencies(sized).attention_factor, 1.138629436111989F);
  sized.attention_factor = 0.5;
  EXPECT_EQ(rope_frequencies(sized).attention_factor, 0.5F);
}

TEST(RopeFrequencies, YarnWithEveryOption) {
  RopeOptions options{.scaling = RopeScaling::kYarn,
                      .head_dim = 16,
                      .factor = 8.0,
                      .original_max_positions = 256,
                      .beta_fast = 16.0,
                      .beta_slow = 2.0,
                      .truncate = false,
                      .mscale = 0.7,
                      .mscale_all_dim = 1.2};
  expect_frequencies(options, {1.0F, 0.28740859F, 0.0424417965F, 0.00395284733F, 0.00124999997F,
                               0.000395284733F, 0.000125000006F, 3.95284733e-05F});
  EXPECT_FLOAT_EQ(rope_frequencies(options).attention_factor, 0.9167912505456107F);
}

TEST(RopeFrequencies, Llama3) {
  expect_frequencies({.scaling = RopeScaling::kLlama3,
                      .theta = 500000.0,
                      .factor = 8.0,
                      .original_max_positions = 8192},
                     {1.0F, 0.193922758F, 0.0376060307F, 0.00729266508F, 0.000524846022F,
                      3.42810235e-05F, 6.64786967e-06F, 1.28917316e-06F});
  expect_frequencies(
      {.scaling = RopeScaling::kLlama3, .factor = 8.0, .original_max_positions = 256},
      {1.0F, 0.316227764F, 0.100000001F, 0.00661310693F, 0.00124999997F, 0.000395284733F,
       0.000125000006F, 3.95284733e-05F});
}

TEST(RopeFrequencies, SenselessOptionsAreRefused) {
  EXPECT_THROW(rope_frequencies({.head_dim = 0}), Error);
  EXPECT_THROW(rope_frequencies({.head_dim = 15}), Error);
  EXPECT_THROW(rope_frequencies({.scaling = RopeScaling::kYarn, .head_dim = 16}), Error);
  EXPECT_THROW(rope_frequencies({.scaling = RopeScaling::kDynamic, .head_dim = 16}), Error);
  EXPECT_THROW(rope_frequencies({.scaling = RopeScaling::kLinear, .head_dim = 16, .factor = 0.0}),
               Error);
}

TEST(ApplyRope, RotatesHalfAgainstHalf) {
  const std::size_t heads = 3;
  const std::size_t head_dim = 22;
  RopeFrequencies frequencies = rope_frequencies({.head_dim = head_dim});
  frequencies.attention_factor = 1.25F;
  const std::vector<std::uint32_t> positions = {0, 7, 2047};
  const RopeAngles angles = rope_angles(frequencies, positions);
  const auto before = kernel_test::gaussian(positions.size() * heads * head_dim, 5);
  std::vector<double> expected(before.begin(), before.end());
  for (std::size_t i = 0; i < positions.size() * heads; ++i) {
    for (std::size_t j = 0; j < head_dim / 2; ++j) {
      const double angle = static_cast<float>(positions[i / heads]) * frequencies.inverse[j];
      const double first = before[i * head_dim + j];
      const double second = before[i * head_dim + head_dim / 2 + j];
      expected[i * head_dim + j] = 1.25 * (first * std::cos(angle) - second * std::sin(angle));
      expected[i * head_dim + head_dim / 2 + j] =
          1.25 * (second * std::cos(angle) + first * std::sin(angle));
    }
  }
  for (const Isa isa : available_isas()) {
    const IsaOverride with(isa);
    auto x = before;
    apply_rope(angles, heads, head_dim, x);
    EXPECT_LE(kernel_test::relative_error(x, expected), 2e-7) << isa_name(isa);
    auto parts = before;  // token by token
    for (std::size_t token = 0; token < positions.size(); ++token) {
      const std::size_t size = heads * head_dim;
      apply_rope(angles, heads, head_dim, std::span(parts).subspan(token * size, size), token);
    }
    EXPECT_EQ(parts, x) << isa_name(isa);
  }
  std::vector<float> token(heads * head_dim);
  EXPECT_THROW(apply_rope(angles, heads, head_dim, token, 3), Error);
  EXPECT_THROW(apply_rope(angles, heads, head_dim + 2, token), Error);
}

}  // namespace
}  // namespace helix
