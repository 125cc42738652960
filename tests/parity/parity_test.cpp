// Whole models against transformers' logits, dense and compressed.

#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"
#include "base/json.h"
#include "base/testing/temporary_folder.h"
#include "helix/convert.h"
#include "kernels/isa.h"
#include "model_fixture.h"

namespace helix::parity {
namespace {

constexpr double kTolerance = 1e-4;

class ParityTest : public ::testing::TestWithParam<std::string> {};

TEST_P(ParityTest, DenseLogitsEqualTransformers) {
  const auto folder = case_folder(GetParam());
  const Expected expected = read_expected(folder / "expected.safetensors");
  ASSERT_FALSE(expected.logits.empty());
  for (const Isa isa : available_isas()) {
    const IsaOverride use(isa);
    const auto model = open_model(folder, Precision::kF32);
    const double found = relative_difference(run_logits(*model, expected.tokens), expected.logits);
    RecordProperty(std::string(isa_name(isa)), std::to_string(found * 1e6) + "e-6");
    EXPECT_LT(found, kTolerance) << isa_name(isa);
  }
}

TEST_P(ParityTest, ChunksAndSingleTokensEqualThePiece) {
  const auto folder = case_folder(GetParam());
  const Expected expected = read_expected(folder / "expected.safetensors");
  const auto model = open_model(folder, Precision::kF32);
  for (const std::size_t chunk : {1U, 7U, 16U}) {
    const auto found = run_logits(*model, expected.tokens, chunk, 1);
    EXPECT_LT(relative_difference(found, expected.logits), kTolerance) << chunk;
  }
}

// Beyond the trained positions a dynamic RoPE turns every new key by frequencies of its own.
TEST(DynamicRopeTest, GrowsWhileDecodingAsInTransformers) {
  const auto folder = case_folder("llama-rope-dynamic");
  const Expected expected = read_expected(folder / "expected.safetensors");
  ASSERT_FALSE(expected.cached_logits.empty());
  const auto model = open_model(folder, Precision::kF32);
  const auto found = decode_logits(*model, expected.tokens, 12);
  EXPECT_LT(relative_difference(found, expected.cached_logits), kTolerance);
  EXPECT_GT(relative_difference(expected.logits, expected.cached_logits), 100 * kTolerance);
}

TEST_P(ParityTest, Bf16PrecisionIsNear) {
  const auto folder = case_folder(GetParam());
  const Expected expected = read_expected(folder / "expected.safetensors");
  const auto model = open_model(folder, Precision::kBf16);
  EXPECT_LT(relative_difference(run_logits(*model, expected.tokens), expected.logits), 2e-2);
}

// The compressed form against the dense engine on the weights that the codes stand for.
TEST_P(ParityTest, CompressedEqualsDequantised) {
  const helix::testing::TemporaryFolder temporary;
  CompressOptions options;
  options.encode.codebook_size = 64;
  options.encode.outliers = {.kind = OutlierPolicy::Kind::kFraction, .fraction = 0.01};
  options.embeddings = true;
  options.lm_head = true;
  compress(case_folder(GetParam()), temporary / "hxq", options);
  DecompressOptions exact;
  exact.dtype = "f32";
  decompress(temporary / "hxq", temporary / "dense", exact);
  const Expected expected = read_expected(case_folder(GetParam()) / "expected.safetensors");
  const auto dense = open_model(temporary / "dense", Precision::kF32);
  const auto reference = run_logits(*dense, expected.tokens);
  const auto codes = open_model(temporary / "hxq", Precision::kF32);
  EXPECT_LT(relative_difference(run_logits(*codes, expected.tokens), reference), kTolerance);
  const auto fast = open_model(temporary / "hxq", Precision::kBf16);
  EXPECT_LT(relative_difference(run_logits(*fast, expected.tokens), reference), 2e-2);
  // The codes change something, or the comparison shows nothing.
  EXPECT_GT(relative_difference(reference, expected.logits), 1e-3);
}

std::string test_name(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Twins, ParityTest, ::testing::ValuesIn(case_names()), test_name);

// The folders that earlier software wrote, with logits of the dequantised model.
TEST(HxqReferenceTest, LogitsEqualTransformers) {
  const auto folder = shared_data() / "hxq-reference";
  if (!std::filesystem::is_directory(folder)) GTEST_SKIP() << "no shared test data";
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!entry.is_directory() || name.ends_with(".expected")) continue;
    if (!name.starts_with("llama") && !name.starts_with("qwen2") && !name.starts_with("stories")) {
      continue;
    }
    const auto results = folder / (name + ".expected");
    const Json facts = parse_json(read_file(results / "expected.json"), name);
    const double tolerance = facts["logits"]["tolerance_abs"].get<double>();
    const Expected expected = read_expected(results / "expected.safetensors");
    const auto model = open_model(entry.path(), Precision::kF32);
    EXPECT_LE(absolute_difference(run_logits(*model, expected.tokens), expected.logits), tolerance)
        << name;
    ++count;
  }
  EXPECT_EQ(count, 15U);
}

}  // namespace
}  // namespace helix::parity
