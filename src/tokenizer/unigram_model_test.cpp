#include <gtest/gtest.h>

#include "base/testing/temporary_folder.h"
#include "tokenizer/testing/test_files.h"
#include "tokenizer/tokenizer.h"

namespace helix {
namespace {

using testing::TemporaryFolder;
using Ids = std::vector<TokenId>;

Tokenizer unigram(const std::string& vocabulary, const std::string& byte_fallback = "false") {
  TemporaryFolder folder;
  write_file_atomically(folder / "tokenizer.json",
                        R"({"model":{"type":"Unigram","unk_id":0,"byte_fallback":)" +
                            byte_fallback + R"(,"vocab":[)" + vocabulary + "]}}");
  return Tokenizer::open(folder.path());
}

// The Python library's ids.
TEST(UnigramModel, FindsEveryTokenThatBeginsAlike) {
  const Tokenizer tokenizer =
      unigram(R"(["<unk>",0],["a",-2],["ab",-3.5],["abc",-9],["bc",-3],["c",-2.5],["é",-4],)"
              R"(["éa",-5],["abcabc",-6])");
  EXPECT_EQ(tokenizer.encode("abc"), (Ids{1, 4}));
  EXPECT_EQ(tokenizer.encode("abcab"), (Ids{1, 4, 2}));
  EXPECT_EQ(tokenizer.encode("abcabcab"), (Ids{8, 2}));
  EXPECT_EQ(tokenizer.encode("\u00E9ab"), (Ids{6, 2}));
  EXPECT_EQ(tokenizer.encode("b\u00E9"), (Ids{0, 6}));
  EXPECT_EQ(tokenizer.encode("\u00E9bca"), (Ids{6, 4, 1}));
  EXPECT_EQ(tokenizer.encode("abcabca"), (Ids{8, 1}));
}

TEST(UnigramModel, TheUnknownTokenWrittenOutIsItself) {
  const Tokenizer tokenizer =
      unigram(R"(["<u>",0],["a",-2],["<0x3C>",-3],["<0x3E>",-3],["<0x75>",-3])", "true");
  EXPECT_EQ(tokenizer.encode("a<u>a"), (Ids{1, 0, 1}));
  EXPECT_EQ(tokenizer.encode("<u"), (Ids{2, 4}));
  EXPECT_EQ(tokenizer.encode("<u>>"), (Ids{2, 4, 3, 3}));
}

// Minutes if every part of the text as long as that token were looked up.
TEST(UnigramModel, ALongTokenCostsNothingWhereItDoesNotBegin) {
  const Tokenizer tokenizer =
      unigram(R"(["<unk>",0],["b",-1],["bb",-1.5],[")" + std::string(5'000, 'x') + R"(",-9])");
  EXPECT_EQ(tokenizer.encode(std::string(60'000, 'b')), Ids(30'000, 2));
  EXPECT_EQ(tokenizer.encode(std::string(5'000, 'x')), (Ids{3}));
}

}  // namespace
}  // namespace helix
