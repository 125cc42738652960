// The folders of tests/golden: what breaks a rule is refused with the code and the words it was
// always refused with, and the forms a reader accepts decode to the same bits for ever.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/hash.h"
#include "checkpoint/checkpoint.h"
#include "helix/error.h"

namespace helix {
namespace {

namespace fs = std::filesystem;

const fs::path kGolden = fs::path(HELIX_SOURCE_FOLDER) / "tests" / "golden";

Json read_expected(const char* group) {
  const fs::path path = kGolden / group / "expected.json";
  return parse_json(read_file(path), path.string());
}

// Opens the folder and reads every module; the name of a foreign quantisation.
std::string read_everything(const fs::path& folder) {
  const Checkpoint checkpoint(folder);
  for (const auto& [name, parts] : checkpoint.modules()) checkpoint.load_module(name);
  return checkpoint.foreign_quantization();
}

void expect_refused(const fs::path& folder, const Json& expected) {
  try {
    const std::string foreign = read_everything(folder);
    EXPECT_EQ(foreign, expected.value("foreign", "")) << "was not refused";
    EXPECT_NE(foreign, "") << "was read without complaint";
  } catch (const Error& error) {
    ASSERT_TRUE(expected.contains("code")) << error.what();
    EXPECT_EQ(expected["code"], error_code_name(error.code())) << error.what();
    std::vector<std::string> wanted = expected["words"];
    wanted.push_back(folder.string());  // every message says where
    for (const std::string& words : wanted) {
      EXPECT_NE(std::string(error.what()).find(words), std::string::npos)
          << "message: " << error.what() << "\nexpected in it: " << words;
    }
  }
}

TEST(Hostile, folders_are_refused_with_their_code_and_words) {
  const Json cases = read_expected("hostile");
  ASSERT_GT(cases.size(), 150U);
  for (const auto& [name, expected] : cases.items()) {
    SCOPED_TRACE(name);
    ASSERT_TRUE(fs::is_directory(kGolden / "hostile" / name));
    expect_refused(kGolden / "hostile" / name, expected);
  }
}

// A folder that the list forgets would not be tested.
TEST(Hostile, and_good_folders_are_all_listed) {
  for (const char* group : {"hostile", "good"}) {
    const Json cases = read_expected(group);
    for (const auto& entry : fs::directory_iterator(kGolden / group)) {
      if (!entry.is_directory()) continue;
      EXPECT_TRUE(cases.contains(entry.path().filename().string())) << entry.path();
    }
  }
}

std::string sha256_of(const CompressedTensor& tensor) {
  std::vector<float> weights(tensor.rows * tensor.columns);
  decode_rows(tensor, 0, weights);
  Sha256 hash;
  hash.add(std::as_bytes(std::span(weights)));
  return hash.finish();
}

Json names_of(const std::vector<const StoredTensor*>& tensors) {
  std::vector<std::string> names;
  for (const StoredTensor* tensor : tensors) names.push_back(tensor->name);
  std::sort(names.begin(), names.end());
  return names;
}

TEST(Golden, folders_decode_to_the_same_bits) {
  const Json cases = read_expected("good");
  ASSERT_GT(cases.size(), 40U);
  for (const auto& [name, expected] : cases.items()) {
    SCOPED_TRACE(name);
    std::string warning;
    Hooks hooks;
    hooks.log = [&](LogLevel, std::string_view message) { warning += message; };
    const Checkpoint checkpoint(kGolden / "good" / name, hooks);
    EXPECT_EQ(names_of(checkpoint.exact_tensors()), expected["exact"]);
    EXPECT_EQ(names_of(checkpoint.ignored_tensors()), expected["ignored"]);
    EXPECT_EQ(warning.empty(), expected["ignored"].empty() && checkpoint.store().unlisted().empty())
        << warning;
    EXPECT_EQ(checkpoint.expected_key_count(), checkpoint.store().tensors().size());
    EXPECT_EQ(checkpoint.modules().size(), expected["modules"].size());
    for (const auto& [module, matrix] : expected["modules"].items()) {
      const CompressedTensor tensor = checkpoint.load_module(module);
      EXPECT_EQ(Json({tensor.rows, tensor.columns}), matrix["shape"]) << module;
      EXPECT_EQ(sha256_of(tensor), matrix["sha256"].get<std::string>()) << module;
    }
  }
}

}  // namespace
}  // namespace helix
