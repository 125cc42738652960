#include "base/mapped_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "base/testing/expect_error.h"
#include "base/testing/temporary_folder.h"

namespace helix {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;

std::string text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

TEST(MappedFile, shows_the_content) {
  const TemporaryFolder folder;
  std::ofstream(folder / "a") << "content";
  std::ofstream(folder / "empty") << "";
  EXPECT_EQ(text_of(MappedFile(folder / "a")), "content");
  EXPECT_TRUE(MappedFile(folder / "empty").bytes().empty());
}

TEST(MappedFile, moves) {
  const TemporaryFolder folder;
  std::ofstream(folder / "a") << "first";
  std::ofstream(folder / "b") << "other";
  MappedFile a(folder / "a");
  MappedFile moved(std::move(a));
  EXPECT_EQ(text_of(moved), "first");
  moved = MappedFile(folder / "b");
  EXPECT_EQ(text_of(moved), "other");
  EXPECT_EQ(moved.path(), folder / "b");
}

TEST(MappedFile, tells_absent_from_unreadable) {
  const TemporaryFolder folder;
  expect_error(ErrorCode::kNotFound, "absent: cannot open", [&] { MappedFile{folder / "absent"}; });
  expect_error(ErrorCode::kIoError, "not a regular file", [&] { MappedFile{folder.path()}; });
}

TEST(MappedFile, refuses_a_named_pipe_instead_of_waiting_for_its_writer) {
  const TemporaryFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  expect_error(ErrorCode::kIoError, "not a regular file", [&] { MappedFile{folder / "pipe"}; });
}

TEST(ReleasePages, leaves_the_content_as_it_is) {
  const TemporaryFolder folder;
  std::string content(100'000, 'x');
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>('a' + i % 26);
  std::ofstream(folder / "a") << content;
  const MappedFile file(folder / "a");
  for (const std::size_t begin : {0U, 1U, 4096U, 99'999U}) {
    for (const std::size_t count : {0U, 1U, 4095U, 4096U, 8192U, 100'000U}) {
      release_pages(file.bytes().subspan(begin, std::min(count, content.size() - begin)));
    }
  }
  release_pages({});
  EXPECT_EQ(text_of(file), content);
}

}  // namespace
}  // namespace helix
