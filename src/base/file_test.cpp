#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "base/testing/expect_error.h"
#include "base/testing/temporary_folder.h"

namespace helix {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;

std::string slurp(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void spill(const std::filesystem::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

std::span<const std::byte> as_bytes(const std::string& text) {
  return std::as_bytes(std::span(text));
}

std::size_t entry_count(const std::filesystem::path& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder),
                                                std::filesystem::directory_iterator()));
}

TEST(OutputFile, writes_at_offsets_in_any_order) {
  const TemporaryFolder folder;
  OutputFile file(folder / "a", OutputFile::Mode::kTruncate);
  file.write_at(4, as_bytes("later"));
  file.write_at(0, as_bytes("now "));
  file.write_at(2, {});
  file.sync();
  file.close();
  EXPECT_EQ(slurp(folder / "a"), "now later");
}

TEST(OutputFile, keeps_or_truncates_what_is_there) {
  const TemporaryFolder folder;
  spill(folder / "a", "0123456789");
  OutputFile(folder / "a", OutputFile::Mode::kKeep).write_at(1, as_bytes("X"));
  EXPECT_EQ(slurp(folder / "a"), "0X23456789");
  OutputFile(folder / "a", OutputFile::Mode::kKeep).truncate(3);
  EXPECT_EQ(slurp(folder / "a"), "0X2");
  OutputFile(folder / "a", OutputFile::Mode::kTruncate).write_at(0, as_bytes("Y"));
  EXPECT_EQ(slurp(folder / "a"), "Y");
  OutputFile(folder / "new", OutputFile::Mode::kKeep).truncate(5);
  EXPECT_EQ(slurp(folder / "new"), std::string(5, '\0'));
}

TEST(OutputFile, names_the_file_that_cannot_be_made) {
  const TemporaryFolder folder;
  expect_error(ErrorCode::kIoError, "no/such/folder",
               [&] { OutputFile(folder / "no/such/folder", OutputFile::Mode::kTruncate); });
}

TEST(OutputFile, reports_a_full_disk) {
  OutputFile file("/dev/full", OutputFile::Mode::kKeep);
  expect_error(ErrorCode::kIoError, "/dev/full: cannot write: No space left",
               [&] { file.write_at(0, as_bytes("x")); });
}

TEST(WriteFileAtomically, replaces_and_leaves_nothing_else_behind) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", "first");
  write_file_atomically(folder / "a", "second");
  EXPECT_EQ(slurp(folder / "a"), "second");
  write_file_atomically(folder / "empty", "");
  EXPECT_EQ(slurp(folder / "empty"), "");
  EXPECT_EQ(entry_count(folder.path()), 2U);
}

TEST(WriteFileAtomically, failure_keeps_the_old_and_removes_the_temporary_file) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "taken/inside");
  expect_error(ErrorCode::kIoError, "taken: cannot rename to",
               [&] { write_file_atomically(folder / "taken", "text"); });
  EXPECT_TRUE(std::filesystem::is_directory(folder / "taken/inside"));
  EXPECT_EQ(entry_count(folder.path()), 1U);
}

TEST(CopyFileAtomically, copies_any_bytes) {
  const TemporaryFolder folder;
  const std::string content("a\0b\xff", 4);
  spill(folder / "from", content);
  copy_file_atomically(folder / "from", folder / "to");
  EXPECT_EQ(slurp(folder / "to"), content);
  spill(folder / "from", "");
  copy_file_atomically(folder / "from", folder / "to");
  EXPECT_EQ(slurp(folder / "to"), "");
  expect_error(ErrorCode::kNotFound, "absent",
               [&] { copy_file_atomically(folder / "absent", folder / "to"); });
  EXPECT_EQ(entry_count(folder.path()), 2U);
}

TEST(ReadFile, returns_all_or_refuses) {
  const TemporaryFolder folder;
  spill(folder / "a", "12345");
  EXPECT_EQ(read_file(folder / "a"), "12345");
  EXPECT_EQ(read_file(folder / "a", 5), "12345");
  expect_error(ErrorCode::kCorruptData, "5 bytes, at most 4 expected",
               [&] { read_file(folder / "a", 4); });
  expect_error(ErrorCode::kNotFound, "absent", [&] { read_file(folder / "absent"); });
  expect_error(ErrorCode::kIoError, "not a regular file", [&] { read_file(folder.path()); });
}

TEST(SyncFolder, works_on_folders_only) {
  const TemporaryFolder folder;
  EXPECT_NO_THROW(sync_folder(folder.path()));
  expect_error(ErrorCode::kIoError, "absent", [&] { sync_folder(folder / "absent"); });
}

}  // namespace
}  // namespace helix
