#include "convert/shards.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "base/json.h"
#include "base/testing/temporary_folder.h"

namespace helix {
namespace {

using Items = std::vector<std::size_t>;

std::vector<Items> items_of(const std::vector<std::uint64_t>& sizes, std::uint64_t shard_bytes) {
  std::vector<Items> items;
  for (const ShardAssignment& shard : assign_shards(sizes, shard_bytes))
    items.push_back(shard.items);
  return items;
}

TEST(AssignShards, FillsInOrder) {
  EXPECT_EQ(items_of({4, 4, 4, 4}, 8), (std::vector<Items>{{0, 1}, {2, 3}}));
  EXPECT_EQ(items_of({4, 4, 4, 4}, 11), (std::vector<Items>{{0, 1}, {2, 3}}));
  EXPECT_EQ(items_of({4, 4, 4, 4}, 16), (std::vector<Items>{{0, 1, 2, 3}}));
}

TEST(AssignShards, ALargeItemStandsAlone) {
  EXPECT_EQ(items_of({1, 100, 1, 1}, 8), (std::vector<Items>{{0}, {1}, {2, 3}}));
  EXPECT_EQ(items_of({100, 100}, 1), (std::vector<Items>{{0}, {1}}));
}

TEST(AssignShards, EmptyItemsTakeNoRoom) {
  EXPECT_EQ(items_of({8, 0, 0, 8}, 8), (std::vector<Items>{{0, 1, 2}, {3}}));
}

TEST(AssignShards, NothingIsStillAFile) { EXPECT_EQ(items_of({}, 8), std::vector<Items>{{}}); }

TEST(AssignShards, Names) {
  const std::vector<std::uint64_t> sizes(12, 8);
  EXPECT_EQ(assign_shards(sizes, 1000).at(0).file_name, "model.safetensors");
  const auto shards = assign_shards(sizes, 8);
  ASSERT_EQ(shards.size(), 12U);
  EXPECT_EQ(shards.front().file_name, "model-00001-of-00012.safetensors");
  EXPECT_EQ(shards.back().file_name, "model-00012-of-00012.safetensors");
}

TEST(WriteShardIndex, HoldsTheMapAndTheTotal) {
  const testing::TemporaryFolder folder;
  write_shard_index(folder.path(), {{"b", "2.safetensors"}, {"a", "1.safetensors"}}, 123);
  const std::string text = read_file(folder / "model.safetensors.index.json");
  const Json index = parse_json(text, "index");
  EXPECT_EQ(index["metadata"]["total_size"], 123);
  EXPECT_EQ(index["weight_map"]["a"], "1.safetensors");
  EXPECT_EQ(index["weight_map"].size(), 2U);
  EXPECT_LT(text.find("\"a\""), text.find("\"b\""));
}

}  // namespace
}  // namespace helix
