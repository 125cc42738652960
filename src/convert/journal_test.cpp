#include "convert/journal.h"

#include <gtest/gtest.h>

#include "base/testing/expect_error.h"
#include "base/testing/temporary_folder.h"

namespace helix {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;

JournalRecord record_of(const std::string& name, float level) {
  JournalRecord record;
  record.name = name;
  record.tensor.rows = 3;
  record.tensor.columns = 5;
  record.tensor.index_format = IndexFormat::kU16;
  record.tensor.codebook = {level, level + 1};
  record.tensor.sidecar_positions = {2, 7};
  record.tensor.sidecar_values = {0.5F, -0.5F};
  record.tensor.channel_scales = {1, 2, 3, 4, 5};
  record.index_hash = 0x0123456789abcdefU;
  record.metrics.squared_error = 0.125;
  record.metrics.weight_count = 15;
  return record;
}

class JournalFile : public ::testing::Test {
 protected:
  void write(const std::string& fingerprint, const std::vector<std::string>& names) {
    Journal journal(path, fingerprint, false);
    for (const std::string& name : names) journal.append(record_of(name, 1.0F));
  }
  std::vector<std::string> names_left(const std::string& fingerprint = "run") {
    const Journal journal(path, fingerprint, true);
    std::vector<std::string> names;
    for (const auto& [name, record] : journal.finished()) names.push_back(name);
    return names;
  }
  std::string content() const { return read_file(path); }
  void set_content(const std::string& text) { write_file_atomically(path, text); }

  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "journal";
};

using Names = std::vector<std::string>;

TEST_F(JournalFile, GivesBackWhatWasWritten) {
  write("run", {"a", "b"});
  const Journal journal(path, "run", true);
  ASSERT_EQ(journal.finished().size(), 2U);
  const JournalRecord& record = journal.finished().at("b");
  const JournalRecord expected = record_of("b", 1.0F);
  EXPECT_EQ(record.name, "b");
  EXPECT_EQ(record.tensor.rows, 3U);
  EXPECT_EQ(record.tensor.columns, 5U);
  EXPECT_EQ(record.tensor.index_format, IndexFormat::kU16);
  EXPECT_EQ(record.tensor.codebook, expected.tensor.codebook);
  EXPECT_EQ(record.tensor.sidecar_positions, expected.tensor.sidecar_positions);
  EXPECT_EQ(record.tensor.sidecar_values, expected.tensor.sidecar_values);
  EXPECT_EQ(record.tensor.channel_scales, expected.tensor.channel_scales);
  EXPECT_EQ(record.index_hash, expected.index_hash);
  EXPECT_EQ(record.metrics.squared_error, 0.125);
  EXPECT_EQ(record.metrics.weight_count, 15U);
}

TEST_F(JournalFile, WithoutResumeStartsEmpty) {
  write("run", {"a", "b"});
  write("run", {"c"});
  EXPECT_EQ(names_left(), Names{"c"});
}

TEST_F(JournalFile, RefusesAnotherRun) {
  write("run", {"a"});
  const std::string before = content();
  expect_error(ErrorCode::kInvalidArgument, "another source, other options",
               [&] { names_left("other run"); });
  EXPECT_EQ(content(), before);
  write("other run", {});
  EXPECT_EQ(names_left("other run"), Names{});
}

TEST_F(JournalFile, ContinuesAfterTheLastWholeRecord) {
  write("run", {"a", "b", "c"});
  const std::string whole = content();
  for (std::size_t size = 0; size < whole.size(); size += 7) {
    set_content(whole.substr(0, size));
    {
      Journal journal(path, "run", true);
      EXPECT_LT(journal.finished().size(), 3U);
      journal.append(record_of("d", 2.0F));
    }
    const Names names = names_left();
    ASSERT_FALSE(names.empty());
    EXPECT_EQ(names.back(), "d");  // nothing of the torn record stands before it
  }
}

TEST_F(JournalFile, ADamagedRecordEndsTheReadablePart) {
  write("run", {"a", "b", "c"});
  const std::string whole = content();
  const std::size_t header = 16 + 3;  // the fingerprint "run"
  const std::size_t record = (whole.size() - header) / 3;
  for (const std::size_t at : {std::size_t{0}, std::size_t{8}, std::size_t{16}, record - 1}) {
    std::string damaged = whole;
    damaged[header + record + at] = static_cast<char>(damaged[header + record + at] ^ 0x10);
    set_content(damaged);
    EXPECT_EQ(names_left(), Names{"a"}) << at;
  }
}

TEST_F(JournalFile, ALengthBeyondTheFileIsNoRecord) {
  write("run", {"a"});
  std::string damaged = content();
  for (std::size_t i = 19; i < 27; ++i) damaged[i] = '\xff';
  set_content(damaged);
  EXPECT_EQ(names_left(), Names{});
}

TEST_F(JournalFile, AnUnreadableFingerprintIsANewRun) {
  for (const std::string& text : {std::string(), std::string("noise"), std::string(100, '\0')}) {
    set_content(text);
    EXPECT_EQ(names_left(), Names{});
    EXPECT_EQ(names_left(), Names{});
  }
}

TEST_F(JournalFile, TheLaterOfTwoRecordsCounts) {
  {
    Journal journal(path, "run", false);
    journal.append(record_of("a", 1.0F));
    journal.append(record_of("a", 9.0F));
  }
  const Journal journal(path, "run", true);
  EXPECT_EQ(journal.finished().at("a").tensor.codebook.front(), 9.0F);
}

}  // namespace
}  // namespace helix
