#include "tokenizer/stream_decoder.h"

#include <gtest/gtest.h>

#include "base/testing/temporary_folder.h"
#include "tokenizer/testing/test_files.h"

namespace helix {
namespace {

using testing::TemporaryFolder;
using Ids = std::vector<TokenId>;

Tokenizer with_model(const std::string& vocabulary, const std::string& decoder) {
  TemporaryFolder folder;
  write_file_atomically(folder / "tokenizer.json",
                        R"({"decoder":)" + decoder +
                            R"(,"model":{"type":"BPE","byte_fallback":true,"merges":[],"vocab":)" +
                            vocabulary + "}}");
  return Tokenizer::open(folder.path());
}

std::string stream(const Tokenizer& tokenizer, const Ids& ids) {
  StreamDecoder decoder(tokenizer);
  std::string text;
  for (const TokenId id : ids) text += decoder.push(id);
  return text + decoder.finish();
}

// Minutes if all the text came again with every token.
TEST(StreamDecoder, EveryTokenMayEndInsideACharacter) {
  const Tokenizer tokenizer =
      with_model(R"({"\u00C3":0,"\u00A9\u00C3":1,"\u00A9":2})", R"({"type":"ByteLevel"})");
  Ids ids(100'000, 1);  // the end of one "é" and the beginning of the next
  ids.front() = 0;
  ids.push_back(2);
  EXPECT_EQ(stream(tokenizer, ids), tokenizer.decode(ids));
  ids.pop_back();
  EXPECT_TRUE(stream(tokenizer, ids).ends_with("\u00E9\uFFFD"));
}

// The first token of a text loses its space: one that ends inside a character is not the first.
TEST(StreamDecoder, SpacesStayBehindHalfACharacter) {
  const Tokenizer tokenizer = with_model(
      R"({"\u2581a":0,"<0xC3>":1,"<0xA9>":2,"\u2581":3})",
      R"({"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"\u2581"},)"
      R"("content":" "},{"type":"ByteFallback"},{"type":"Fuse"},)"
      R"({"type":"Strip","content":" ","start":1,"stop":0}]})");
  for (const Ids& ids : {Ids{0, 1, 2, 0}, Ids{1, 2, 0, 3, 1, 2, 3, 0}, Ids{3, 1, 2, 1, 2, 3, 3, 0},
                         Ids{0, 3, 1, 2, 1, 2, 0}}) {
    EXPECT_EQ(stream(tokenizer, ids), tokenizer.decode(ids));
  }
}

}  // namespace
}  // namespace helix
