#include "convert/staging.h"

#include <gtest/gtest.h>

#include <memory>

#include "base/file.h"
#include "base/testing/expect_error.h"
#include "base/testing/temporary_folder.h"
#include "convert/journal.h"

namespace helix {
namespace {

namespace fs = std::filesystem;
using testing::expect_error;
using testing::TemporaryFolder;

class StagingTest : public ::testing::Test {
 protected:
  StagingTest() { fs::create_directory(source); }

  void write(const fs::path& path, const std::string& text) {
    fs::create_directories(path.parent_path());
    write_file_atomically(path, text);
  }
  Staging open(const Staging::Options& options = {}) { return {source, out, options}; }
  void refuse(const std::string& part, const Staging::Options& options = {}) {
    expect_error(ErrorCode::kInvalidArgument, part, [&] { open(options); });
  }
  // As a killed run leaves it.
  void interrupt() {
    write(partial / "config.json", "half");
    write(journal, "records");
  }
  // Names beside the source.
  std::set<std::string> names() const {
    std::set<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder.path()))
      found.insert(entry.path().filename().string());
    found.erase("source");
    return found;
  }
  static constexpr Staging::Options kResume = {.resume = true, .force = false, .resumable = true};
  static constexpr Staging::Options kForce = {.resume = false, .force = true, .resumable = true};
  static constexpr Staging::Options kPlain = {.resume = false, .force = false, .resumable = true};

  const TemporaryFolder folder;
  const fs::path source = folder / "source";
  const fs::path out = folder / "out";
  const fs::path partial = folder / "out.hxq-partial";
  const fs::path journal = folder / "out.hxq-journal";
  const fs::path replaced = folder / "out.hxq-replaced";
};

using Set = std::set<std::string>;

TEST_F(StagingTest, PublishesInOneStep) {
  Staging staging = open();
  EXPECT_EQ(staging.folder(), partial);
  write(staging.folder() / "config.json", "new");
  EXPECT_FALSE(fs::exists(out));
  staging.publish();
  EXPECT_EQ(read_file(out / "config.json"), "new");
  EXPECT_EQ(names(), Set{"out"});
}

TEST_F(StagingTest, AFailedRunLeavesNothing) {
  { Staging staging = open(kPlain); }
  EXPECT_EQ(names(), Set{});
}

TEST_F(StagingTest, AFailedRunLeavesWhatCanBeResumed) {
  {
    Staging staging = open(kPlain);
    staging.keep_unfinished();
  }
  EXPECT_EQ(names(), (Set{"out.hxq-partial", "out.hxq-journal"}));
  refuse("interrupted run", kPlain);
  { const Staging staging = open(kResume); }
  EXPECT_EQ(names(), (Set{"out.hxq-partial", "out.hxq-journal"}));  // a resumed one fails, too
  { const Staging staging = open(kForce); }
  EXPECT_EQ(names(), Set{});
}

TEST_F(StagingTest, ResumeKeepsAndForceDrops) {
  interrupt();
  { EXPECT_TRUE(fs::exists(open(kResume).folder() / "config.json")); }
  { EXPECT_FALSE(fs::exists(open(kForce).folder() / "config.json")); }
}

TEST_F(StagingTest, NeverOverwritesWithoutForce) {
  write(out / "mine", "mine");
  write(out / "config.json", "old");
  refuse("exists already", kPlain);
  refuse("exists already", kResume);
  EXPECT_EQ(names(), Set{"out"});
  Staging staging = open(kForce);
  EXPECT_EQ(read_file(out / "mine"), "mine");
  staging.publish();
  EXPECT_FALSE(fs::exists(out / "mine"));
  EXPECT_EQ(names(), Set{"out"});
}

TEST_F(StagingTest, ForceReplacesModelFoldersAndLinksOnly) {
  write(out / "mine.txt", "mine");
  refuse("no model folder", kForce);
  write(out / "config.json", "{}");
  open(kForce);
  fs::remove_all(out);
  write(out, "a file");
  refuse("no model folder", kForce);
  EXPECT_EQ(read_file(out), "a file");
  fs::remove(out);
  fs::create_symlink("nowhere", out);
  open(kForce);
}

// A run that cannot be resumed does not take the place of one that can.
TEST_F(StagingTest, WhatCanBeResumedIsDroppedWithForceOnly) {
  interrupt();
  refuse("an interrupted run left this", {});
  EXPECT_EQ(read_file(journal), "records");
  open({.force = true});
  EXPECT_EQ(names(), Set{});
}

TEST_F(StagingTest, RefusesAJournalThatIsNotItsOwn) {
  write(journal, "mine");
  for (const auto& options : {kPlain, kResume, kForce}) refuse("in the way", options);
  EXPECT_EQ(read_file(journal), "mine");
}

TEST_F(StagingTest, RefusesAFolderThatIsNotItsOwn) {
  write(partial / "mine", "mine");
  for (const auto& options : {kPlain, kResume, kForce}) refuse("in the way", options);
  EXPECT_EQ(names(), Set{"out.hxq-partial"});
}

TEST_F(StagingTest, RefusesOverlap) {
  const auto overlap = [&](const fs::path& from, const fs::path& to) {
    expect_error(ErrorCode::kInvalidArgument, "overlap", [&] { Staging(from, to, kForce); });
  };
  overlap(source, source);
  overlap(source, source / "");
  overlap(source / "", source);
  overlap(source, source / "deep" / "out");
  overlap(source, folder.path());
  overlap(source, folder / "other" / ".." / "source");
  fs::create_directory_symlink(source, folder / "link");
  overlap(folder / "link", source);
  overlap(source, folder / "link" / "out");
  overlap(partial, out);
  overlap(replaced / "model", out);
  EXPECT_EQ(names(), Set{"link"});
}

TEST_F(StagingTest, OneRunPerDestination) {
  Staging first = open(kPlain);
  refuse("another process", kResume);
  refuse("another process", kForce);
  EXPECT_TRUE(fs::exists(first.folder()));
  first.publish();
  EXPECT_EQ(names(), Set{"out"});
}

TEST_F(StagingTest, TwoDestinationsAtOnce) {
  Staging first = open(kPlain);
  Staging second(source, folder / "other", kPlain);
  first.publish();
  second.publish();
  EXPECT_EQ(names(), (Set{"other", "out"}));
}

TEST_F(StagingTest, EndsAPublishedRun) {
  write(out / "config.json", "new");
  { const Journal begun(journal, "the fingerprint", false); }
  write(replaced / "config.json", "old");
  Staging staging = open(kResume);
  EXPECT_TRUE(staging.already_published());
  staging.publish();
  EXPECT_EQ(names(), Set{"out"});
  EXPECT_EQ(read_file(out / "config.json"), "new");
}

TEST_F(StagingTest, AnOldOutputIsNotTakenForThePublishedOne) {
  write(out / "config.json", "old");
  write(journal, "");  // --force was stopped before it had made its folder
  refuse("exists already", kResume);
  Staging staging = open({.resume = true, .force = true, .resumable = true});
  EXPECT_FALSE(staging.already_published());
  staging.publish();
  EXPECT_FALSE(fs::exists(out / "config.json"));
}

TEST_F(StagingTest, BringsAnOldOutputBack) {
  interrupt();
  write(replaced / "config.json", "old");
  { const Staging staging = open(kForce); }
  EXPECT_EQ(names(), Set{"out"});
  EXPECT_EQ(read_file(out / "config.json"), "old");
}

TEST_F(StagingTest, AnOldOutputThatIsBackIsNotOverwrittenWithoutForce) {
  interrupt();
  write(journal, "");
  write(replaced / "config.json", "old");
  refuse("exists already");  // not resumable: it drops what was left without being asked
  EXPECT_EQ(read_file(out / "config.json"), "old");
}

TEST_F(StagingTest, DropsWhatDoesNotBelongToTheRun) {
  interrupt();
  write(partial / "model.safetensors", "shard");
  write(partial / ".config.json.1.tmp", "half");
  write(partial / "sub" / "file", "half");
  const Staging staging = open(kResume);
  staging.remove_all_but({"model.safetensors"});
  EXPECT_EQ(std::distance(fs::directory_iterator(partial), fs::directory_iterator()), 1);
  EXPECT_EQ(read_file(partial / "model.safetensors"), "shard");
}

TEST_F(StagingTest, MakesParentsAndTakesATrailingSlash) {
  Staging staging(source, folder / "new" / "deep" / "", kPlain);
  staging.publish();
  EXPECT_TRUE(fs::is_directory(folder / "new" / "deep"));
}

TEST_F(StagingTest, NamesAParentThatIsNone) {
  write(folder / "file", "");
  expect_error(ErrorCode::kIoError, "file", [&] { Staging(source, folder / "file" / "out", {}); });
}

}  // namespace
}  // namespace helix
