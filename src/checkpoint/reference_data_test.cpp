// Every checkpoint of the reference data, which lies outside the repository, against the values
// that plain numpy worked out from the format page: $HELIX_TEST_DATA or ../shared/data.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/hash.h"
#include "checkpoint/checkpoint.h"

namespace helix {
namespace {

namespace fs = std::filesystem;

fs::path reference_folder() {
  const char* data = std::getenv("HELIX_TEST_DATA");
  const fs::path beside = fs::path(HELIX_SOURCE_FOLDER).parent_path() / "shared" / "data";
  return (data != nullptr ? fs::path(data) : beside) / "hxq-reference";
}

struct Case {
  fs::path folder;
  Json expected;
  SafetensorsFile dense;
};

std::vector<Case> reference_cases() {
  std::vector<Case> cases;
  if (!fs::is_directory(reference_folder())) return cases;
  for (const auto& entry : fs::directory_iterator(reference_folder())) {
    const fs::path beside = entry.path().string() + ".expected";
    if (!fs::is_directory(beside)) continue;
    const fs::path text = beside / "expected.json";
    cases.push_back({entry.path(), parse_json(read_file(text), text.string()),
                     SafetensorsFile(beside / "expected.safetensors")});
  }
  return cases;
}

std::vector<float> decoded(const CompressedTensor& tensor) {
  std::vector<float> weights(tensor.rows * tensor.columns);
  decode_rows(tensor, 0, weights);
  return weights;
}

std::string sha256_of(const std::vector<float>& weights) {
  Sha256 hash;
  hash.add(std::as_bytes(std::span(weights)));
  return hash.finish();
}

// `MODULE.decoded` where the dense key holds the exact tensor that overrules the codes.
std::vector<float> expected_weights(const Case& reference, const ModuleParts& parts) {
  const TensorEntry* found = nullptr;
  for (const TensorEntry& entry : reference.dense.header().tensors) {
    if (entry.name == parts.name + ".decoded") found = &entry;
    if (entry.name == parts.dense_key && found == nullptr) found = &entry;
  }
  if (found == nullptr) return {};
  std::vector<float> weights(element_count(found->shape));
  read_floats(reference.dense.view(*found), 0, weights);
  return weights;
}

void expect_close(const std::vector<float>& weights, const std::vector<float>& expected) {
  ASSERT_EQ(weights.size(), expected.size());
  float largest = 0.0F;
  for (const float weight : expected) largest = std::max(largest, std::abs(weight));
  for (std::size_t i = 0; i < weights.size(); ++i) {
    ASSERT_NEAR(weights[i], expected[i], 1e-6F * largest) << "weight " << i;
  }
}

void check_module(const Case& reference, const Checkpoint& checkpoint, const ModuleParts& parts) {
  const Json& expected = reference.expected["modules"][parts.name];
  const CompressedTensor tensor = checkpoint.load_module(parts.name);
  EXPECT_EQ(Json({tensor.rows, tensor.columns}), expected["shape"]);
  EXPECT_EQ(tensor.codebook_size(), expected["k"]);
  EXPECT_EQ(tensor.vector_size, expected["d"]);
  EXPECT_EQ(tensor.sidecar_positions.size(), expected["sidecar"]);
  EXPECT_EQ(parts.dense_key, expected["dense_key"].get<std::string>());
  const std::vector<float> weights = decoded(tensor);
  if (expected["bit_exact"].get<bool>()) {
    EXPECT_EQ(sha256_of(weights), expected["sha256"].get<std::string>());
  }
  expect_close(weights, expected_weights(reference, parts));
}

std::vector<std::string> sorted_names(const std::vector<const StoredTensor*>& tensors) {
  std::vector<std::string> names;
  for (const StoredTensor* tensor : tensors) names.push_back(tensor->name);
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> sorted_keys(const Json& object) {
  std::vector<std::string> names;
  for (const auto& [name, value] : object.items()) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

// The names after "ignored keys: ".
std::vector<std::string> names_in(std::string_view warning) {
  std::vector<std::string> names;
  const std::string_view mark = "ignored keys: ";
  for (std::size_t at = warning.find(mark) + mark.size(); at < warning.size();) {
    const std::size_t end = std::min(warning.find(", ", at), warning.size());
    names.emplace_back(warning.substr(at, end - at));
    at = end + 2;
  }
  std::sort(names.begin(), names.end());
  return names;
}

void check_keys(const Case& reference, const Checkpoint& checkpoint, const std::string& warning) {
  const Json& expected = reference.expected;
  EXPECT_EQ(checkpoint.store().tensors().size(), expected["number_of_keys"]);
  EXPECT_EQ(checkpoint.expected_key_count(), expected["number_of_keys"]);
  EXPECT_EQ(sorted_names(checkpoint.exact_tensors()), sorted_keys(expected["exact_keys"]));
  const auto ignored = sorted_keys(expected["ignored_keys"]);
  EXPECT_EQ(sorted_names(checkpoint.ignored_tensors()), ignored);
  EXPECT_EQ(warning.empty() ? std::vector<std::string>() : names_in(warning), ignored);
}

TEST(ReferenceData, is_read_as_its_makers_say) {
  const std::vector<Case> cases = reference_cases();
  if (cases.empty()) GTEST_SKIP() << reference_folder() << " is absent";
  for (const Case& reference : cases) {
    SCOPED_TRACE(reference.folder.filename().string());
    std::string warning;
    Hooks hooks;
    hooks.log = [&](LogLevel, std::string_view text) { warning += text; };
    const Checkpoint checkpoint(reference.folder, hooks);
    check_keys(reference, checkpoint, warning);
    EXPECT_EQ(checkpoint.modules().size(), reference.expected["modules"].size());
    for (const auto& [name, parts] : checkpoint.modules()) {
      SCOPED_TRACE(name);
      check_module(reference, checkpoint, parts);
    }
  }
}

}  // namespace
}  // namespace helix
