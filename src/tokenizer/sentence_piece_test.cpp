#include "tokenizer/sentence_piece.h"

#include <gtest/gtest.h>

#include "base/testing/expect_error.h"
#include "base/testing/temporary_folder.h"
#include "tokenizer/stream_decoder.h"
#include "tokenizer/testing/test_files.h"

namespace helix {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;
using Ids = std::vector<TokenId>;

// A model of 60 pieces that puts no space before a text; its rules make "e" of "É", "fi" of the
// ligature, and so on. Expected ids and texts are SentencePiece's own.
std::string small_model() {
  return read_file(testing::repository() / "tests" / "fixtures" / "tokenizers" / "sentence-piece" /
                   "tokenizer.model");
}

Tokenizer open(const std::string& model, const std::string& config = "{}") {
  TemporaryFolder folder;
  write_file_atomically(folder / "tokenizer.model", model);
  write_file_atomically(folder / "tokenizer_config.json", config);
  return Tokenizer::open(folder.path());
}

TEST(SentencePiece, NoSpaceIsTakenWhereTheModelPutsNone) {
  const Tokenizer tokenizer = open(small_model());
  EXPECT_EQ(tokenizer.encode(" x", false), (Ids{31, 57}));
  EXPECT_EQ(tokenizer.decode(Ids{31, 57}), " x");
  EXPECT_EQ(tokenizer.decode(Ids{57}), "x");
  StreamDecoder stream(tokenizer);
  EXPECT_EQ(stream.push(31) + stream.push(57) + stream.finish(), " x");
}

TEST(SentencePiece, ReplacesCharactersByItsMap) {
  const Tokenizer tokenizer = open(small_model());
  EXPECT_EQ(tokenizer.encode("Adog \uFB01nd", false), (Ids{46, 23, 6, 13, 37}));
  EXPECT_EQ(tokenizer.encode("th\u00C9 dog", false), (Ids{36, 3, 31, 23}));
}

// What transformers makes of the same entries, but for the last: it gives up there.
TEST(SentencePiece, NumbersAddedTokens) {
  const auto added = [](const std::string& entries) {
    return open(small_model(),
                R"({"add_bos_token":false,"added_tokens_decoder":{)" + entries + "}}");
  };
  EXPECT_EQ(added(R"("70":{"content":"<x>"})").encode("x<x>"), (Ids{57, 60}));
  EXPECT_EQ(added(R"("60":{"content":"az"})").encode("xaz"), (Ids{57, 7}));
  EXPECT_EQ(added(R"("60":{"content":"<x>"},"61":{"content":"<x>"})").encode("<x>"), (Ids{60}));
  const Tokenizer renamed = added(R"("22":{"content":"<y>"})");
  EXPECT_EQ(renamed.encode("x<y>"), (Ids{57, 22}));
  EXPECT_EQ(renamed.decode(Ids{57, 22}), "x<y>");
  EXPECT_EQ(renamed.vocabulary_size(), 60U);
}

std::string number(std::size_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}

// A field of a protocol buffer that holds bytes or a message.
std::string field(std::size_t name, const std::string& bytes) {
  return number(name << 3 | 2) + number(bytes.size()) + bytes;
}

std::string map(std::uint32_t tree_size, const std::vector<std::uint32_t>& tree,
                const std::string& texts) {
  std::string bytes;
  const auto add = [&](std::uint32_t word) {
    for (unsigned shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(word >> shift);
  };
  add(tree_size);
  for (const std::uint32_t word : tree) add(word);
  return bytes + texts;
}

// What comes behind a message is merged into it: the map of the model gives way to `map`.
std::string with_map(const std::string& map, std::size_t name = 3) {
  return small_model() + field(name, field(2, map));
}

TEST(CharacterMap, MayNotLeadOutsideItself) {
  using namespace std::string_literals;
  constexpr std::size_t kDenormalizer = 5;
  const std::string texts = "abc\0"s;
  std::vector<std::uint32_t> tree(256, 0);
  EXPECT_EQ(open(with_map(map(1024, tree, texts))).encode("x", false), (Ids{57}));
  const auto refuse = [](const std::string& model) {
    expect_error(ErrorCode::kCorruptData, "tokenizer.model: the table of characters",
                 [&] { open(model); });
  };
  const std::vector<std::uint32_t> all_ones(256, 0xFFFFFFFF);
  refuse(with_map(map(1024, all_ones, texts)));
  refuse(with_map(map(1024, all_ones, texts), kDenormalizer));
  refuse(with_map(map(1024, tree, "abc")));
  refuse(with_map(map(1024, tree, "")));
  refuse(with_map(map(1028, tree, texts)));
  refuse(with_map(map(1023, tree, texts)));
  refuse(with_map(map(0xFFFFFFFF, tree, texts)));
  refuse(with_map(map(0, {}, texts)));
  refuse(with_map(map(4, {0}, texts)));
  refuse(with_map("abc"));
  tree[97] = 1 << 10 | 97;  // from 97 to the block of 96: within
  open(with_map(map(1024, tree, texts)));
  tree[97] = 256 << 10 | 97;
  refuse(with_map(map(1024, tree, texts)));
  tree[97] = 1 << 10 | 1 << 8 | 97;  // with a value, at 96
  tree[96] = 0x80000003;
  open(with_map(map(1024, tree, texts)));
  tree[96] = 0x80000004;
  refuse(with_map(map(1024, tree, texts)));
}

TEST(CharacterMap, IsLookedForInWholeMessagesOnly) {
  using namespace std::string_literals;
  for (const std::string& bytes : {"\x1A\x7F"s, "\x1B\x1C"s, "\x18"s, "\x19\x01"s, "\x02\x01x"s,
                                   "\x1F"s, "\x18" + std::string(10, '\xFF') + "\x01",
                                   "\xFF\xFF\xFF\xFF\x7F\x01"s, field(3, "\x12\x05")}) {
    expect_error(ErrorCode::kCorruptData, "not a SentencePiece model",
                 [&] { open(small_model() + bytes); });
  }
}

}  // namespace
}  // namespace helix
