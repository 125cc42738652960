#include "safetensors/tensor_store.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "base/testing/expect_error.h"
#include "base/testing/temporary_folder.h"

namespace helix {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;

// A file of one-byte tensors: name to value.
void write_weights(const std::filesystem::path& path, const std::map<std::string, char>& tensors) {
  std::vector<TensorEntry> entries;
  std::string data;
  for (const auto& [name, value] : tensors) {
    entries.push_back({name, DType::kU8, {1}, data.size(), data.size() + 1});
    data += value;
  }
  write_file_atomically(path, make_safetensors_header(entries, {}) + data);
}

void write_index(const TemporaryFolder& folder, const std::map<std::string, std::string>& map) {
  write_file_atomically(folder / std::string(kIndexFileName),
                        Json({{"metadata", Json::object()}, {"weight_map", map}}).dump());
}

std::string contents(const TensorStore& store) {
  std::string text;
  for (const StoredTensor& tensor : store.tensors()) {
    text += tensor.name + "=" + static_cast<char>(tensor.view.data[0]) + " ";
  }
  return text;
}

TEST(TensorStore, opens_a_single_file) {
  const TemporaryFolder folder;
  write_weights(folder / "model.safetensors", {{"a", '1'}, {"b", '2'}});
  const TensorStore store(folder.path());
  EXPECT_EQ(contents(store), "a=1 b=2 ");
  EXPECT_EQ(store.files().size(), 1U);
  ASSERT_NE(store.find("b"), nullptr);
  EXPECT_EQ(store.find("b")->view.data[0], std::byte{'2'});
  EXPECT_EQ(store.find("c"), nullptr);
}

TEST(TensorStore, opens_every_shard_that_the_index_names) {
  const TemporaryFolder folder;
  write_weights(folder / "s2.safetensors", {{"a", '1'}});
  write_weights(folder / "s1.safetensors", {{"b", '2'}, {"c", '3'}});
  write_index(folder, {{"a", "s2.safetensors"}, {"b", "s1.safetensors"}, {"c", "s1.safetensors"}});
  const TensorStore store(folder.path());
  EXPECT_EQ(contents(store), "b=2 c=3 a=1 ");
  EXPECT_EQ(store.files()[store.find("a")->file].path(), folder / "s2.safetensors");
}

TEST(TensorStore, takes_a_tensor_from_the_shard_that_the_index_names_and_no_other) {
  const TemporaryFolder folder;
  write_weights(folder / "s1.safetensors", {{"a", '1'}, {"left over", '9'}});
  write_weights(folder / "s2.safetensors", {{"a", '2'}, {"b", '3'}});
  write_index(folder, {{"a", "s2.safetensors"}, {"b", "s2.safetensors"}});
  EXPECT_EQ(contents(TensorStore(folder.path())), "a=2 b=3 ");
  write_index(folder, {{"a", "s1.safetensors"}, {"b", "s2.safetensors"}});
  const TensorStore store(folder.path());
  EXPECT_EQ(contents(store), "a=1 b=3 ");
  EXPECT_EQ(store.unlisted(),
            (std::vector<std::string>{"left over of s1.safetensors", "a of s2.safetensors"}));
}

TEST(TensorStore, prefers_the_single_file) {
  const TemporaryFolder folder;
  write_weights(folder / "model.safetensors", {{"a", '1'}});
  write_index(folder, {{"a", "absent.safetensors"}});
  EXPECT_EQ(contents(TensorStore(folder.path())), "a=1 ");
}

TEST(TensorStore, keeps_its_views_when_it_moves) {
  const TemporaryFolder folder;
  write_weights(folder / "model.safetensors", {{"a", '1'}, {"b", '2'}});
  TensorStore first(folder.path());
  const TensorStore second = std::move(first);
  ASSERT_NE(second.find("b"), nullptr);
  EXPECT_EQ(second.find("b")->view.data[0], std::byte{'2'});
}

TEST(TensorStore, says_which_shard_or_tensor_is_missing) {
  const TemporaryFolder folder;
  write_weights(folder / "s1.safetensors", {{"a", '1'}});
  write_index(folder, {{"a", "s1.safetensors"}, {"b", "s1.safetensors"}});
  expect_error(ErrorCode::kNotFound, "s1.safetensors: tensor b is not in the shard",
               [&] { TensorStore store(folder.path()); });
  write_index(folder, {{"a", "s1.safetensors"}, {"b", "s2.safetensors"}});
  expect_error(ErrorCode::kNotFound, "s2.safetensors: shard named by",
               [&] { TensorStore store(folder.path()); });
}

// The file system throws for such a name; the library throws Error and nothing else.
TEST(TensorStore, says_so_where_a_shard_name_is_too_long_for_a_file) {
  const TemporaryFolder folder;
  write_index(folder, {{"a", std::string(300, 'x')}});
  expect_error(ErrorCode::kNotFound, "is absent", [&] { TensorStore store(folder.path()); });
}

TEST(TensorStore, says_so_where_the_folder_cannot_be) {
  expect_error(ErrorCode::kIoError, "File name too long",
               [] { TensorStore store(std::filesystem::path(std::string(5000, 'x'))); });
}

TEST(TensorStore, tells_a_missing_folder_from_one_without_weights) {
  const TemporaryFolder folder;
  expect_error(ErrorCode::kNotFound, "holds neither model.safetensors nor",
               [&] { TensorStore store(folder.path()); });
  expect_error(ErrorCode::kNotFound, "no such folder",
               [&] { TensorStore store(folder / "absent"); });
}

TEST(TensorStore, advises_on_pickled_weights) {
  for (const char* name : {"pytorch_model.bin", "pytorch_model.bin.index.json"}) {
    const TemporaryFolder folder;
    write_file_atomically(folder / name, "x");
    expect_error(ErrorCode::kUnsupported, "save_pretrained",
                 [&] { TensorStore store(folder.path()); });
  }
}

TEST(ShardIndex, gives_names_in_the_order_of_the_file) {
  const auto map = parse_shard_index(R"({"weight_map":{"z":"1","a":"2"},"extra":[1]})", "f");
  const std::vector<std::pair<std::string, std::string>> expected = {{"z", "1"}, {"a", "2"}};
  EXPECT_EQ(map, expected);
}

TEST(ShardIndex, takes_dots_within_a_name_for_what_they_are) {
  EXPECT_NO_THROW(parse_shard_index(R"({"weight_map":{"a":"..a"}})", "f"));
  for (const char* shard : {"", ".", "..", "../a", "/a", "a/", "a/b", "a\\\\b", "a\\u0000"}) {
    SCOPED_TRACE(shard);
    const std::string text = std::string(R"({"weight_map":{"t":")") + shard + "\"}}";
    expect_error(ErrorCode::kCorruptData, "f: tensor t: shard name",
                 [&] { parse_shard_index(text, "f"); });
  }
}

}  // namespace
}  // namespace helix
