#include "tokenizer/added_tokens.h"

#include <gtest/gtest.h>

#include "base/testing/expect_error.h"
#include "base/testing/temporary_folder.h"
#include "tokenizer/testing/test_files.h"
#include "tokenizer/tokenizer.h"

namespace helix {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;
using Ids = std::vector<TokenId>;

// A folder of a tokenizer.json with ten one-letter tokens, but for "<v>", and of other files.
struct Folder {
  std::string added_tokens;         // of tokenizer.json
  std::string config = "{}";        // tokenizer_config.json
  std::string special_tokens = {};  // special_tokens_map.json, if any
  std::string added_file = {};      // added_tokens.json, if any
  std::string normalizer = "null";

  Tokenizer open() const {
    TemporaryFolder folder;
    const std::string vocabulary =
        R"({"a":0,"b":1,"c":2,"<v>":3," ":4,"<":5,">":6,"x":7,"y":8,"z":9})";
    write_file_atomically(folder / "tokenizer.json",
                          R"({"added_tokens":[)" + added_tokens + R"(],"normalizer":)" +
                              normalizer +
                              R"(,"decoder":{"type":"Fuse"},"model":{"type":"BPE","merges":[],)" +
                              R"("vocab":)" + vocabulary + "}}");
    write_file_atomically(folder / "tokenizer_config.json", config);
    const auto write = [&](const char* name, const std::string& text) {
      if (!text.empty()) write_file_atomically(folder / name, text);
    };
    write("special_tokens_map.json", special_tokens);
    write("added_tokens.json", added_file);
    return Tokenizer::open(folder.path());
  }
};

struct Case {
  const char* name;
  Folder folder;
  const char* text;
  Ids ids;
  const char* decoded;  // without special tokens
};

class AddedTokensCase : public ::testing::TestWithParam<Case> {};

// Ids and texts are AutoTokenizer's for folders that say the same.
TEST_P(AddedTokensCase, EqualsTransformers) {
  const Tokenizer tokenizer = GetParam().folder.open();
  const Ids ids = tokenizer.encode(GetParam().text);
  EXPECT_EQ(ids, GetParam().ids);
  EXPECT_EQ(tokenizer.decode(ids), GetParam().decoded);
}

#define X(id, rest) R"({"id":)" #id R"(,"content":"<x>")" rest "}"
#define SPECIAL R"(,"special":true)"
#define PLAIN R"(,"normalized":false)"
#define CONFIG(entries) R"({"added_tokens_decoder":{)" entries "}}"
#define CONFIG_AND(rest, entries) "{" rest R"(,"added_tokens_decoder":{)" entries "}}"

INSTANTIATE_TEST_SUITE_P(
    Ids, AddedTokensCase,
    ::testing::Values(
        Case{"OfTheVocabulary", {R"({"id":11,"content":"<v>"})"}, "a<v>b", {0, 3, 1}, "a<v>b"},
        Case{"OfTheFirst",
             {X(10, ) "," X(11, R"(,"lstrip":true)" SPECIAL)},
             "a <x>b",
             {0, 10, 1},
             "ab"},
        Case{"WithoutGaps",
             {X(12, ) R"(,{"id":14,"content":"<y>"})"},
             "a<x><y>",
             {0, 10, 11},
             "a<x><y>"},
        Case{"WithoutGapsInTheConfig",
             {"", CONFIG(R"("9999":{"content":"<y>"},"12":{"content":"<x>"})")},
             "a<x><y>",
             {0, 10, 11},
             "a<x><y>"},
        Case{"EqualOnceNormalized",
             {R"({"id":10,"content":"<X>"},{"id":11,"content":"<x>"})", "{}", "", "",
              R"({"type":"Lowercase"})"},
             "a<x>b<X>",
             {0, 10, 1, 10},
             "a<x>b<x>"}),
    [](const auto& test) { return test.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Config, AddedTokensCase,
    ::testing::Values(
        Case{"MakesSpecial",
             {X(10, ), CONFIG(R"("10":{"content":"<x>","special":true})")},
             "a<x>b",
             {0, 10, 1},
             "ab"},
        Case{"NeverMakesPlain",
             {X(10, SPECIAL), CONFIG(R"("10":{"content":"<x>"})")},
             "a<x>b",
             {0, 10, 1},
             "ab"},
        Case{"Strips",
             {X(10, ), CONFIG(R"("11":{"content":"<x>","lstrip":true,"rstrip":true})")},
             "a <x> b",
             {0, 10, 1},
             "a<x>b"},
        Case{"StripsNot",
             {X(10, R"(,"lstrip":true,"rstrip":true)"), CONFIG(R"("10":{"content":"<x>"})")},
             "a <x> b",
             {0, 4, 10, 4, 1},
             "a <x> b"},
        Case{"WantsWords",
             {X(10, ), CONFIG(R"("10":{"content":"<x>","single_word":true})")},
             "a<x>b",
             {0, 5, 7, 6, 1},
             "a<x>b"},
        Case{"Normalizes",
             {R"({"id":10,"content":"<X>")" PLAIN "}", CONFIG(R"("10":{"content":"<X>"})"), "", "",
              R"({"type":"Lowercase"})"},
             "<x>b<X>",
             {10, 1, 10},
             "<x>b<x>"}),
    [](const auto& test) { return test.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Roles, AddedTokensCase,
    ::testing::Values(
        Case{"OfTheVocabulary", {"", R"({"mask_token":"<v>"})"}, "a<v>b", {0, 3, 1}, "ab"},
        Case{"OfTheirOwnName", {"", R"({"image_token":"<v>"})"}, "a<v>b", {0, 3, 1}, "ab"},
        Case{"OfAnObject",
             {"", R"({"extra_special_tokens":{"image_token":"<v>"}})"},
             "a<v>b",
             {0, 3, 1},
             "ab"},
        Case{"WithoutAName",
             {"", R"({"additional_special_tokens":["<v>"]})"},
             "a<v>b",
             {0, 3, 1},
             "ab"},
        Case{"MakeSpecial", {X(10, ), R"({"eos_token":"<x>"})"}, "a<x>b", {0, 10, 1}, "ab"},
        Case{"MakeTheConfigsSpecial",
             {X(10, ), CONFIG_AND(R"("eos_token":"<x>")", R"("10":{"content":"<x>"})")},
             "a<x>b",
             {0, 10, 1},
             "ab"},
        Case{"LeaveOthersThan",
             {X(10, ), CONFIG_AND(R"("eos_token":"<x>")", "")},
             "a<x>b",
             {0, 10, 1},
             "a<x>b"},
        Case{"LeaveThoseWithoutAName",
             {X(10, ), R"({"extra_special_tokens":["<x>"]})"},
             "a<x>b",
             {0, 10, 1},
             "a<x>b"},
        Case{"OfTheOlderFile",
             {"", R"({"eos_token":"b"})", R"({"eos_token":"<v>"})"},
             "a<v>b",
             {0, 3, 1},
             "ab"},
        Case{"OfAnOlderFileThatStrips",
             {"", "{}", R"({"eos_token":{"content":"<v>","lstrip":true,"normalized":false}})"},
             "a <v> b",
             {0, 3, 4, 1},
             "a b"},
        Case{"OfAnOlderFileNotRead",
             {"", CONFIG(""), R"({"eos_token":"<v>"})"},
             "a<v>b",
             {0, 5, 6, 1},
             "a<>b"},
        Case{"OfAddedTokensFile",
             {"", R"({"eos_token":"<q>"})", "", R"({"<q>":12,"y":8})"},
             "a <q>y",
             {0, 4, 10, 8},
             "a y"}),
    [](const auto& test) { return test.param.name; });

TEST(AddedTokens, TheIdOfAnotherTokenIsRefused) {
  const auto refuse = [](const Folder& folder, const char* other) {
    expect_error(ErrorCode::kCorruptData, other, [&] { folder.open(); });
  };
  refuse({X(1, )},
         R"(tokenizer.json: the added token "<x>" cannot have id 1, which is that of "b")");
  refuse({X(10, ) R"(,{"id":10,"content":"<y>"})"}, R"("<y>" cannot have id 10)");
  refuse({X(10, ), CONFIG(R"("10":{"content":"<y>"})")}, R"(which is that of "<x>")");
}

TEST(AddedTokens, RolesNotInTheVocabularyHaveNoId) {
  const Tokenizer tokenizer = Folder{"", R"({"pad_token":"<q>","eos_token":"<v>"})"}.open();
  EXPECT_FALSE(tokenizer.pad_id().has_value());
  EXPECT_EQ(tokenizer.eos_id(), 3);
  EXPECT_TRUE(tokenizer.is_special(3));
  EXPECT_EQ(tokenizer.vocabulary_size(), 10U);
}

}  // namespace
}  // namespace helix
