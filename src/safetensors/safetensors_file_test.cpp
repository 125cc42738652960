#include "safetensors/safetensors_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/testing/expect_error.h"
#include "base/testing/temporary_folder.h"

namespace helix {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

std::vector<TensorEntry> three_entries() {
  return {{"a.weight", DType::kF32, {2, 3}, 0, 24},
          {"nothing", DType::kBF16, {0, 7}, 24, 24},
          {"\"quoted\"\n\u00e9", DType::kI64, {}, 24, 32}};
}

// The file of these entries, whose data byte i is i.
std::string file_of(const std::vector<TensorEntry>& entries,
                    const std::map<std::string, std::string>& metadata = {},
                    std::uint64_t padded_bytes = 0) {
  std::string file = make_safetensors_header(entries, metadata, padded_bytes);
  const std::uint64_t data_bytes = entries.empty() ? 0 : entries.back().end;
  for (std::uint64_t i = 0; i < data_bytes; ++i) file += static_cast<char>(i);
  return file;
}

void expect_same(const std::vector<TensorEntry>& found, const std::vector<TensorEntry>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    SCOPED_TRACE(expected[i].name);
    EXPECT_EQ(found[i].name, expected[i].name);
    EXPECT_EQ(found[i].dtype, expected[i].dtype);
    EXPECT_EQ(found[i].shape, expected[i].shape);
    EXPECT_EQ(found[i].begin, expected[i].begin);
    EXPECT_EQ(found[i].end, expected[i].end);
  }
}

// https://github.com/huggingface/safetensors, "Format".
TEST(SafetensorsHeader, lies_in_the_file_as_the_format_says) {
  const std::string header = make_safetensors_header(
      std::vector<TensorEntry>{{"x", DType::kU8, {1, 2}, 0, 2}}, {{"format", "pt"}}, 0);
  const std::string json =
      R"({"__metadata__":{"format":"pt"},"x":{"dtype":"U8","shape":[1,2],"data_offsets":[0,2]}})";
  std::string expected(8, '\0');
  expected[0] = static_cast<char>(json.size());
  EXPECT_EQ(header, expected + json);
}

TEST(SafetensorsHeader, comes_back_as_it_was_written) {
  const std::map<std::string, std::string> metadata = {{"format", "pt"}, {"made by", "a test"}};
  const std::string file = file_of(three_entries(), metadata);
  const SafetensorsHeader header = parse_safetensors(bytes_of(file), "f");
  EXPECT_EQ(header.metadata, metadata);
  EXPECT_EQ(header.data_begin, file.size() - 32);
  expect_same(header.tensors, three_entries());
}

TEST(SafetensorsHeader, of_no_tensors_is_one) {
  EXPECT_TRUE(parse_safetensors(bytes_of(file_of({})), "f").tensors.empty());
}

TEST(SafetensorsHeader, is_padded_with_spaces_to_the_size_asked_for) {
  const std::string file = file_of(three_entries(), {}, 512);
  const SafetensorsHeader header = parse_safetensors(bytes_of(file), "f");
  EXPECT_EQ(header.data_begin, 512U);
  EXPECT_EQ(file[511], ' ');
  expect_same(header.tensors, three_entries());
  // A header that is longer than that already is left alone.
  EXPECT_EQ(file_of(three_entries(), {}, 10), file_of(three_entries()));
}

TEST(SafetensorsHeader, gives_tensors_in_the_order_of_their_bytes) {
  const std::string json = R"({"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]},)"
                           R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
  std::string file(8, '\0');
  file[0] = static_cast<char>(json.size());
  file += json + "xyz";
  const SafetensorsHeader header = parse_safetensors(bytes_of(file), "f");
  ASSERT_EQ(header.tensors.size(), 2U);
  EXPECT_EQ(header.tensors[0].name, "a");
  EXPECT_EQ(header.tensors[1].name, "b");
}

TEST(SafetensorsHeader, of_many_tensors_is_written_and_read_in_linear_time) {
  std::vector<TensorEntry> entries;
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    entries.push_back({"model.layers." + std::to_string(i), DType::kU8, {1}, i, i + 1});
  }
  const SafetensorsHeader header = parse_safetensors(bytes_of(file_of(entries)), "f");
  ASSERT_EQ(header.tensors.size(), entries.size());
  EXPECT_EQ(header.tensors.back().name, "model.layers.99999");
}

// Every proper prefix of a file is a truncated file.
TEST(SafetensorsHeader, of_a_truncated_file_is_refused_wherever_it_is_cut) {
  const std::string whole = file_of(three_entries());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    SCOPED_TRACE(size);
    expect_error(ErrorCode::kCorruptData,
                 "f: ", [&] { parse_safetensors(bytes_of(whole.substr(0, size)), "f"); });
  }
}

TEST(SafetensorsFile, lends_the_bytes_of_every_tensor) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "x.safetensors", file_of(three_entries()));
  const SafetensorsFile file(folder / "x.safetensors");
  EXPECT_EQ(file.path(), folder / "x.safetensors");
  const TensorView first = file.view(file.header().tensors[0]);
  EXPECT_EQ(first.shape, (Shape{2, 3}));
  ASSERT_EQ(first.data.size(), 24U);
  EXPECT_EQ(first.data[23], std::byte{23});
  EXPECT_TRUE(file.view(file.header().tensors[1]).data.empty());
  EXPECT_EQ(file.view(file.header().tensors[2]).data[0], std::byte{24});
}

TEST(SafetensorsFile, keeps_its_views_when_it_moves) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "x.safetensors", file_of(three_entries()));
  SafetensorsFile first(folder / "x.safetensors");
  const TensorView view = first.view(first.header().tensors[0]);
  const SafetensorsFile second = std::move(first);
  EXPECT_EQ(second.view(second.header().tensors[0]).data.data(), view.data.data());
  EXPECT_EQ(view.data[5], std::byte{5});
}

TEST(SafetensorsFile, names_itself_in_errors) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "x.safetensors", "12345");
  expect_error(ErrorCode::kCorruptData, (folder / "x.safetensors").string(),
               [&] { SafetensorsFile file(folder / "x.safetensors"); });
  expect_error(ErrorCode::kNotFound, (folder / "y.safetensors").string(),
               [&] { SafetensorsFile file(folder / "y.safetensors"); });
}

}  // namespace
}  // namespace helix
