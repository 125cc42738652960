#include "tokenizer/tokenizer.h"

#include <gtest/gtest.h>

#include <sstream>

#include "base/testing/expect_error.h"
#include "base/testing/temporary_folder.h"
#include "tokenizer/stream_decoder.h"
#include "tokenizer/testing/test_files.h"

namespace helix {
namespace {

namespace fs = std::filesystem;
using testing::expect_error;
using testing::read_json;
using testing::repository;
using testing::shared_data;
using testing::TemporaryFolder;
using Ids = std::vector<TokenId>;

std::string stream(const Tokenizer& tokenizer, const Ids& ids) {
  StreamDecoder decoder(tokenizer);
  std::string text;
  for (const TokenId id : ids) text += decoder.push(id);
  return text + decoder.finish();
}

class TokenizerFixture : public ::testing::TestWithParam<const char*> {};

// Ids and texts that the Python library gave for the same file.
TEST_P(TokenizerFixture, EqualsThePythonLibrary) {
  const fs::path folder = repository() / "tests" / "fixtures" / "tokenizers" / GetParam();
  const Tokenizer tokenizer = Tokenizer::open(folder);
  const Json cases = read_json(folder / "expected.json");
  ASSERT_GE(cases.size(), 10U);
  for (const Json& expected : cases) {
    const std::string text = expected["text"];
    SCOPED_TRACE(text);
    const Ids ids = tokenizer.encode(text, true);
    EXPECT_EQ(tokenizer.encode(text, false), expected["ids"].get<Ids>());
    EXPECT_EQ(ids, expected["ids_with_special"].get<Ids>());
    EXPECT_EQ(tokenizer.decode(ids, false), expected["decoded"].get<std::string>());
    EXPECT_EQ(tokenizer.decode(ids, true), expected["decoded_without_special"].get<std::string>());
    EXPECT_EQ(stream(tokenizer, ids), expected["decoded_without_special"].get<std::string>());
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, TokenizerFixture,
                         ::testing::Values("byte-level", "sentence-piece-style", "word-piece",
                                           "unigram"));

struct Vectors {
  const char* vectors;
  const char* folder;
  const char* file;  // to be found as tokenizer.json or tokenizer.model; "": the folder as it is
  const char* name;
};

class ConformanceVectors : public ::testing::TestWithParam<Vectors> {};

std::vector<std::string> split_at(const std::string& text, const std::string& separator) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t at = text.find(separator); at != text.npos; at = text.find(separator, begin)) {
    parts.push_back(text.substr(begin, at - begin));
    begin = at + separator.size();
  }
  return parts;
}

TEST_P(ConformanceVectors, AllTexts) {
  const fs::path data = shared_data() / "tokenizers";
  if (!fs::exists(data)) GTEST_SKIP() << "no test data at " << data << "; set HELIX_TEST_DATA";
  const Vectors& which = GetParam();
  fs::path folder = data / which.folder;
  TemporaryFolder temporary;
  if (*which.file != '\0') {
    fs::copy_file(folder / which.file, temporary / which.name);
    folder = temporary.path();
  }
  const Tokenizer tokenizer = Tokenizer::open(folder);
  const std::string base = (data / "vectors" / which.vectors).string();
  const auto texts = split_at(read_file(base + ".inp"), "\n__ggml_vocab_test__\n");
  const auto lines = split_at(read_file(base + ".out"), "\n");
  ASSERT_EQ(texts.size(), 46U);
  ASSERT_GE(lines.size(), texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) {
    std::istringstream numbers(lines[i]);
    const Ids expected{std::istream_iterator<TokenId>(numbers), {}};
    EXPECT_EQ(tokenizer.encode(texts[i], false), expected) << "text " << i << ": " << texts[i];
  }
}

INSTANTIATE_TEST_SUITE_P(
    Real, ConformanceVectors,
    ::testing::Values(Vectors{"qwen2", "qwen2.5", "", ""},
                      Vectors{"deepseek-r1-qwen", "qwen2.5", "", ""},
                      Vectors{"gpt-2", "gpt2", "", ""},
                      Vectors{"mpt", "gpt-neox-20b", "20B_tokenizer.json", "tokenizer.json"},
                      Vectors{"llama-spm", "llama2", "tokenizer.model", "tokenizer.model"}));

// Chunking must not change what SentencePiece gives.
TEST(SentencePieceModel, LongTextEqualsItsParts) {
  const fs::path model = shared_data() / "tokenizers" / "llama2" / "tokenizer.model";
  if (!fs::exists(model)) GTEST_SKIP() << "no test data at " << model << "; set HELIX_TEST_DATA";
  TemporaryFolder folder;
  fs::copy_file(model, folder / "tokenizer.model");
  const Tokenizer tokenizer = Tokenizer::open(folder.path());
  Ids expected;
  std::string text;
  for (int i = 0; i < 3000; ++i) {
    const std::string word = i == 0 ? "word" : "word" + std::to_string(i % 7);
    text += (i == 0 ? "" : "  ") + word;
    const Ids ids = tokenizer.encode(i == 0 ? word : " " + word, false);
    expected.insert(expected.end(), ids.begin(), ids.end());
  }
  EXPECT_EQ(tokenizer.encode(text, false), expected);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
}

Tokenizer llama2(const TemporaryFolder& folder) {
  fs::copy_file(shared_data() / "tokenizers" / "llama2" / "tokenizer.model",
                folder / "tokenizer.model");
  return Tokenizer::open(folder.path());
}

TEST(SentencePieceModel, SpecialTokensInTextNeedNoOtherFile) {
  if (!fs::exists(shared_data())) GTEST_SKIP() << "no test data; set HELIX_TEST_DATA";
  TemporaryFolder folder;
  const Tokenizer tokenizer = llama2(folder);
  EXPECT_EQ(tokenizer.encode("a</s>\nb"), (Ids{1, 263, 2, 13, 29890}));
  EXPECT_EQ(tokenizer.encode("<s>a<unk>", false), (Ids{1, 29874, 0}));
  write_file_atomically(folder / "tokenizer_config.json", R"({"pad_token":"\u2581the"})");
  EXPECT_EQ(Tokenizer::open(folder.path()).encode("a\u2581the", false), (Ids{263, 278}));
}

// The library's own ids for the whole text.
TEST(SentencePieceModel, NoChunkBeginsBehindASpaceWrittenOut) {
  if (!fs::exists(shared_data())) GTEST_SKIP() << "no test data; set HELIX_TEST_DATA";
  TemporaryFolder folder;
  const Ids ids = llama2(folder).encode(std::string(4096, 'x') + "\u2581 \u2581a", false);
  ASSERT_GE(ids.size(), 4U);
  EXPECT_EQ(Ids(ids.end() - 4, ids.end()), (Ids{14633, 12353, 259, 263}));
}

Tokenizer byte_level() {
  return Tokenizer::open(repository() / "tests" / "fixtures" / "tokenizers" / "byte-level");
}

TEST(Tokenizer, RefusesInvalidUtf8WithItsOffset) {
  const Tokenizer tokenizer = byte_level();
  for (const std::string bad : {"abc\xFF", "abc\xE6\x97", "abc\xC0\x80", "abc\xED\xA0\x80"}) {
    expect_error(ErrorCode::kInvalidArgument, "offset 3", [&] { tokenizer.encode(bad); });
  }
}

TEST(Tokenizer, KnowsItsTokens) {
  const Tokenizer tokenizer = byte_level();
  const auto end = tokenizer.token_to_id("<|end|>");
  ASSERT_TRUE(end.has_value());
  EXPECT_TRUE(tokenizer.is_special(*end));
  EXPECT_FALSE(tokenizer.is_special(0));
  EXPECT_EQ(tokenizer.id_to_token(*end), "<|end|>");
  EXPECT_FALSE(tokenizer.id_to_token(-1).has_value());
  EXPECT_FALSE(tokenizer.id_to_token(1 << 20).has_value());
  EXPECT_EQ(tokenizer.vocabulary_size(), 403U);
  EXPECT_FALSE(tokenizer.bos_id().has_value());
}

TEST(Tokenizer, LongWordsEndSoon) {
  const Tokenizer tokenizer = byte_level();
  for (const char* part : {"a", " ", "the", "\n", "\xCC\x81"}) {
    std::string text;
    while (text.size() < 300'000) text += part;
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  }
}

TEST(Tokenizer, CanBeCancelled) {
  CancelToken cancel;
  cancel.cancel();
  Hooks hooks;
  hooks.cancel = &cancel;
  std::string text(100'000, 'a');
  for (int i = 0; i < 10'000; ++i) text += " a";
  for (const char* name : {"byte-level", "sentence-piece-style", "word-piece", "unigram"}) {
    SCOPED_TRACE(name);
    const Tokenizer tokenizer =
        Tokenizer::open(repository() / "tests" / "fixtures" / "tokenizers" / name);
    expect_error(ErrorCode::kCancelled, "", [&] { tokenizer.encode("a", true, hooks); });
    expect_error(ErrorCode::kCancelled, "", [&] { tokenizer.backend().encode(text, true, hooks); });
    EXPECT_FALSE(tokenizer.encode(text, true, Hooks{}).empty());
  }
}

TEST(StreamDecoder, HoldsBackHalfACharacter) {
  const Tokenizer tokenizer = byte_level();
  const Ids ids = tokenizer.encode("\xF0\x9F\x99\x82");
  ASSERT_EQ(ids.size(), 4U);  // one token a byte
  StreamDecoder decoder(tokenizer);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(decoder.push(ids[static_cast<std::size_t>(i)]), "");
  EXPECT_EQ(decoder.push(ids[3]), "\xF0\x9F\x99\x82");
  EXPECT_EQ(decoder.push(ids[0]), "");
  EXPECT_EQ(decoder.finish(), "\xEF\xBF\xBD");
}

TEST(StreamDecoder, EveryByteTokenOfACutCharacterIsReplaced) {
  TemporaryFolder folder;
  write_file_atomically(
      folder / "tokenizer.json",
      R"({"decoder":{"type":"ByteFallback"},"model":{"type":"BPE","byte_fallback":true,"merges":[],)"
      R"("vocab":{"a":0,"<0xF0>":1,"<0x9F>":2,"<0x99>":3,"<0x82>":4}}})");
  const Tokenizer tokenizer = Tokenizer::open(folder.path());
  EXPECT_EQ(stream(tokenizer, {0, 1, 2, 3, 4}), "a\U0001F642");
  EXPECT_EQ(stream(tokenizer, {0, 1, 2, 3}), "a\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(tokenizer.decode(Ids{0, 1, 2, 3}), "a\uFFFD\uFFFD\uFFFD");
}

TEST(StreamDecoder, ContextKeepsTheSpaceOfTheFirstWord) {
  const Tokenizer tokenizer =
      Tokenizer::open(repository() / "tests" / "fixtures" / "tokenizers" / "sentence-piece-style");
  const Ids prompt = tokenizer.encode("the", false);
  const Ids ids = tokenizer.encode("dog", false);
  std::string text;
  StreamDecoder decoder(tokenizer, true, prompt);
  for (const TokenId id : ids) text += decoder.push(id);
  EXPECT_EQ(text, " dog");
  EXPECT_EQ(stream(tokenizer, ids), "dog");
}

struct Fault {
  const char* json;
  ErrorCode code;
  const char* message;
};

class TokenizerFault : public ::testing::TestWithParam<Fault> {};

TEST_P(TokenizerFault, IsRefused) {
  TemporaryFolder folder;
  write_file_atomically(folder / "tokenizer.json", GetParam().json);
  expect_error(GetParam().code, GetParam().message, [&] { Tokenizer::open(folder.path()); });
}

#define HELIX_MODEL R"("model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]})"
constexpr ErrorCode kUnsupported = ErrorCode::kUnsupported;
constexpr ErrorCode kCorruptData = ErrorCode::kCorruptData;
INSTANTIATE_TEST_SUITE_P(
    Faults, TokenizerFault,
    ::testing::Values(
        Fault{"{", kCorruptData, "tokenizer.json"}, Fault{"[]", kCorruptData, "object"},
        Fault{R"({"model":{"type":"Magic"}})", kUnsupported, "Magic"},
        Fault{R"({"normalizer":{"type":"Nmt"},)" HELIX_MODEL "}", kUnsupported, "Nmt"},
        Fault{R"({"pre_tokenizer":{"type":"UnicodeScripts"},)" HELIX_MODEL "}", kUnsupported,
              "UnicodeScripts"},
        Fault{R"({"decoder":{"type":"CTC"},)" HELIX_MODEL "}", kUnsupported, "CTC"},
        Fault{R"({"post_processor":{"type":"X"},)" HELIX_MODEL "}", kUnsupported, "X"},
        Fault{R"({"pre_tokenizer":{"type":"Split","pattern":{"Regex":"a{2}+"},"behavior":)"
              R"("Isolated"},)" HELIX_MODEL "}",
              kUnsupported, "repeated interval"},
        Fault{
            R"({"pre_tokenizer":{"type":"Split","pattern":{"Regex":"(a"},"behavior":"Isolated"},)" HELIX_MODEL
            "}",
            kUnsupported, "(a"},
        Fault{R"({"model":{"type":"BPE","dropout":0.1,"vocab":{},"merges":[]}})", kUnsupported,
              "dropout"},
        Fault{R"({"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}})", kCorruptData,
              "\"b\""},
        Fault{R"({"model":{"type":"BPE","vocab":{"a":0},"merges":["a"]}})", kCorruptData,
              "merge 0"},
        Fault{R"({"model":{"type":"BPE","vocab":{"a":-1},"merges":[]}})", kCorruptData, "-1"},
        Fault{R"({"model":{"type":"BPE","vocab":{"a":0,"b":0},"merges":[]}})", kCorruptData,
              "twice"},
        Fault{R"({"model":{"type":"BPE","vocab":{"a":0,"a":1},"merges":[]}})", kCorruptData,
              "twice"},
        Fault{R"({"model":{"type":"BPE","vocab":{"a":0.5},"merges":[]}})", kCorruptData, "0.5"},
        Fault{R"({"model":{"type":"BPE","vocab":{"a":[0]},"merges":[]}})", kCorruptData, "\"a\""},
        Fault{R"({"model":{"type":"BPE","vocab":{"a":18446744073709551615},"merges":[]}})",
              kCorruptData, "expected 0 to"},
        Fault{R"({"model":{"type":"BPE","vocab":["a"],"merges":[]}})", kCorruptData, "vocab"},
        Fault{R"({"model":{"type":"BPE","merges":[]}})", kCorruptData, "vocab"},
        Fault{R"({"model":{"type":"BPE","vocab":{"a":0}}})", kCorruptData, "merges"},
        Fault{R"({"model":{"type":"BPE","vocab":{"a":0},"merges":{}}})", kCorruptData, "merges"},
        Fault{R"({"model":{"type":"BPE","vocab":{"a":0},"merges":[7]}})", kCorruptData, "merge 0"},
        Fault{R"({"model":{"type":"BPE","vocab":{"a":0},"merges":[["a"]]}})", kCorruptData,
              "merge 0"},
        Fault{R"({"model":{"type":"BPE","vocab":{"a":0},"merges":[["a",["a"]]]}})", kCorruptData,
              "merge 0"},
        Fault{R"({"model":{"type":"BPE","vocab":{"a":0},"merges":["a a a"]}})", kCorruptData,
              "merge 0"},
        Fault{R"({"version":"1","version":"2",)" HELIX_MODEL "}", kCorruptData, "twice"}));

TEST(TokenizerJson, TablesAreReadWhereverTheyStand) {
  TemporaryFolder folder;
  write_file_atomically(
      folder / "tokenizer.json",
      R"({"other":{"vocab":{"x":"y"},"merges":[1]},"model":{"merges":[["a","b"],"ab a"],)"
      R"("vocab":{"a":7,"ab":1,"b":2,"aba":0},"type":"BPE"},"list":[{"model":{"vocab":3}}]})");
  const Tokenizer tokenizer = Tokenizer::open(folder.path());
  EXPECT_EQ(tokenizer.encode("aba"), (Ids{0}));
  EXPECT_EQ(tokenizer.encode("abab"), (Ids{1, 1}));
  EXPECT_EQ(tokenizer.encode("aabb"), (Ids{7, 1, 2}));
  EXPECT_EQ(tokenizer.vocabulary_size(), 8U);
  EXPECT_FALSE(tokenizer.id_to_token(3).has_value());
}

TEST(TokenizerJson, DeepNestingIsRefused) {
  TemporaryFolder folder;
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  write_file_atomically(folder / "tokenizer.json", "{\"x\":" + deep + "," HELIX_MODEL "}");
  expect_error(kCorruptData, "nested", [&] { Tokenizer::open(folder.path()); });
}

// Every piece that is a token is that token: ids tell how the text was cut.
Tokenizer with_pre_tokenizer(const std::string& pre_tokenizer) {
  TemporaryFolder folder;
  write_file_atomically(
      folder / "tokenizer.json",
      R"({"model":{"type":"BPE","ignore_merges":true,"merges":[],"vocab":{"a":0,"\u00B2":1,)"
      R"("\u200D":2,"a\u00B2":3,"a\u200D":4}},"pre_tokenizer":)" +
          pre_tokenizer + R"(,"added_tokens":[{"id":5,"content":"aa","single_word":true}]})");
  return Tokenizer::open(folder.path());
}

Tokenizer with_expression(const std::string& expression) {
  return with_pre_tokenizer(R"({"type":"Split","behavior":"Isolated","pattern":{"Regex":")" +
                            expression + R"("}})");
}

TEST(PreTokenizer, WhatIsAWordDependsOnWhoAsks) {
  const Tokenizer whitespace = with_pre_tokenizer(R"({"type":"Whitespace"})");
  EXPECT_EQ(whitespace.encode("a\u00B2 a\u200D"), (Ids{0, 1, 4}));
  EXPECT_EQ(with_expression(R"(\\w+)").encode("a\u00B2a\u200D"), (Ids{0, 1, 0, 2}));
  EXPECT_EQ(with_expression(R"(\\w+)").encode("a\u00B2"), (Ids{3}));
  EXPECT_EQ(with_expression(R"(\\W)").encode("a\u00B2"), (Ids{3}));
  EXPECT_EQ(with_expression(R"([\\w]+)").encode("a\u00B2"), (Ids{0, 1}));
  EXPECT_EQ(with_expression(R"(a\\b)").encode("a\u00B2"), (Ids{3}));
  EXPECT_EQ(with_expression(R"(a\\b)").encode("a\u200D"), (Ids{0, 2}));
}

TEST(AddedTokens, JoinersBelongToTheWord) {
  const Tokenizer tokenizer = with_pre_tokenizer(R"({"type":"Whitespace"})");
  EXPECT_EQ(tokenizer.encode("aa"), (Ids{5}));
  EXPECT_EQ(tokenizer.encode("aa\u200D"), (Ids{0, 0, 2}));
}

// As in the Rust library: the space between is taken twice.
TEST(AddedTokens, WhitespaceTakenByOneMayBeginTheNext) {
  TemporaryFolder folder;
  write_file_atomically(folder / "tokenizer.json",
                        R"({"added_tokens":[{"id":2,"content":"<R>","rstrip":true},)"
                        R"({"id":3,"content":" a"},{"id":4,"content":"\n"},)"
                        R"({"id":5,"content":"\t\t","lstrip":true,"rstrip":true}],)"
                        R"("model":{"type":"BPE","vocab":{"b":0," ":1},"merges":[]}})");
  const Tokenizer tokenizer = Tokenizer::open(folder.path());
  EXPECT_EQ(tokenizer.encode("<R> ab"), (Ids{2, 3, 0}));
  EXPECT_EQ(tokenizer.encode("<R> b"), (Ids{2, 0}));
  EXPECT_EQ(tokenizer.encode("<R>\n b"), (Ids{2, 4, 1, 0}));
  EXPECT_EQ(tokenizer.encode("\t\t\t\tb"), (Ids{5, 0}));
}

TEST(TokenizerSettings, SpecialTokensWithoutAName) {
  TemporaryFolder folder;
  write_file_atomically(folder / "tokenizer.json", "{" HELIX_MODEL "}");
  write_file_atomically(folder / "added_tokens.json", R"({"<a>":3,"<b>":4,"<c>":5,"<d>":6})");
  write_file_atomically(folder / "tokenizer_config.json",
                        R"({"extra_special_tokens":{"image_token":"<a>"},)"
                        R"("additional_special_tokens":["<b>"]})");
  write_file_atomically(folder / "special_tokens_map.json",
                        R"({"additional_special_tokens":[{"content":"<c>"}]})");
  const Tokenizer tokenizer = Tokenizer::open(folder.path());
  for (const TokenId id : {3, 4, 5}) EXPECT_TRUE(tokenizer.is_special(id));
  EXPECT_FALSE(tokenizer.is_special(6));
  write_file_atomically(folder / "special_tokens_map.json", R"({"extra_special_tokens":[7]})");
  expect_error(kCorruptData, "extra_special_tokens", [&] { Tokenizer::open(folder.path()); });
}

struct Framed {
  const char* config;
  Ids ids;  // of "a"; 9 is <|endoftext|>
};

class VocabularyFilesFrame : public ::testing::TestWithParam<Framed> {};

TEST_P(VocabularyFilesFrame, EqualsTransformers) {
  TemporaryFolder folder;
  write_file_atomically(folder / "vocab.json", R"({"a":0,"b":1,"\u0120":2,"<|endoftext|>":9})");
  write_file_atomically(folder / "merges.txt", "");
  write_file_atomically(folder / "tokenizer_config.json", GetParam().config);
  const Tokenizer tokenizer = Tokenizer::open(folder.path());
  EXPECT_EQ(tokenizer.encode("a"), GetParam().ids);
}

INSTANTIATE_TEST_SUITE_P(
    Classes, VocabularyFilesFrame,
    ::testing::Values(
        Framed{R"({"tokenizer_class":"GPT2Tokenizer"})", {0}},
        Framed{R"({"tokenizer_class":"GPT2Tokenizer","add_bos_token":true})", {9, 0}},
        Framed{R"({"tokenizer_class":"GPT2Tokenizer","add_bos_token":true,"bos_token":"b"})",
               {1, 0}},
        Framed{R"({"tokenizer_class":"GPT2Tokenizer","add_eos_token":true})", {0, 9}},
        Framed{R"({"tokenizer_class":"GPT2Tokenizer","add_prefix_space":true})", {2, 0}},
        Framed{R"({"tokenizer_class":"Qwen2Tokenizer","add_bos_token":true})", {0}},
        Framed{R"({"tokenizer_class":"Qwen2Tokenizer","add_bos_token":true,"bos_token":"b"})",
               {1, 0}},
        Framed{R"({"tokenizer_class":"Qwen2Tokenizer","add_prefix_space":true})", {2, 0}},
        Framed{R"({"tokenizer_class":"Qwen2Tokenizer","add_eos_token":true})", {0, 9}}));

TEST(VocabularyFiles, AMergeThatIsNoneIsNamed) {
  TemporaryFolder folder;
  write_file_atomically(folder / "vocab.json", R"({"a":0,"b":1,"ab":2})");
  write_file_atomically(folder / "merges.txt", "#version: 0.2\na b\n");
  EXPECT_EQ(Tokenizer::open(folder.path()).encode("ab"), (Ids{2}));
  write_file_atomically(folder / "merges.txt", "#version: 0.2\na b\nab\n");
  expect_error(kCorruptData, "merge 1", [&] { Tokenizer::open(folder.path()); });
  write_file_atomically(folder / "vocab.json", "[]");
  expect_error(kCorruptData, "vocab.json", [&] { Tokenizer::open(folder.path()); });
}

TEST(Tokenizer, NeedsFiles) {
  TemporaryFolder folder;
  expect_error(ErrorCode::kNotFound, "no tokenizer", [&] { Tokenizer::open(folder.path()); });
  write_file_atomically(folder / "tokenizer.model", "nonsense");
  expect_error(ErrorCode::kCorruptData, "tokenizer.model", [&] { Tokenizer::open(folder.path()); });
}

TEST(Tokenizer, ReadsItsSettings) {
  TemporaryFolder folder;
  write_file_atomically(folder / "tokenizer.json", "{" HELIX_MODEL "}");
  write_file_atomically(
      folder / "tokenizer_config.json",
      R"({"bos_token":"a","eos_token":{"content":"<e>"},"pad_token":null,"chat_template":)"
      R"([{"name":"default","template":"{{ bos_token }}D"},{"name":"tool_use","template":"T"}],)"
      R"("added_tokens_decoder":{"3":{"content":"<e>","special":true}}})");
  const Tokenizer tokenizer = Tokenizer::open(folder.path());
  EXPECT_EQ(tokenizer.bos_id(), 0);
  EXPECT_EQ(tokenizer.eos_id(), 3);
  EXPECT_FALSE(tokenizer.pad_id().has_value());
  EXPECT_EQ(tokenizer.encode("ab<e>a"), (Ids{0, 1, 3, 0}));  // "a" is special
  EXPECT_EQ(tokenizer.render_chat(Json::array()), "aD");
  ChatOptions options;
  options.tools = Json::array();
  EXPECT_EQ(tokenizer.render_chat(Json::array(), options), "T");
  options.template_name = "missing";
  expect_error(ErrorCode::kNotFound, "missing",
               [&] { tokenizer.render_chat(Json::array(), options); });
}

// Messages and what transformers' _alias_reasoning_fields makes of them.
TEST(Tokenizer, ReasoningHasItsNamesInAMessage) {
  TemporaryFolder folder;
  write_file_atomically(folder / "tokenizer.json", "{" HELIX_MODEL "}");
  write_file_atomically(folder / "tokenizer_config.json",
                        R"({"chat_template":"{{ messages | tojson }}"})");
  const Tokenizer tokenizer = Tokenizer::open(folder.path());
  const Json messages = Json::parse(R"([
    {"role": "a"},
    {"role": "a", "reasoning": "r"},
    {"role": "a", "thinking": "t", "reasoning": "r"},
    {"reasoning_content": "c", "role": "a", "thinking": null},
    {"role": "a", "reasoning_content": null, "thinking": "", "reasoning": "r"},
    {"role": "a", "reasoning": null},
    "text"])");
  const Json expected = Json::parse(R"([
    {"role": "a"},
    {"thinking": "r", "role": "a", "reasoning": "r", "reasoning_content": "r"},
    {"thinking": "t", "role": "a", "reasoning": "r", "reasoning_content": "t"},
    {"thinking": null, "reasoning_content": "c", "role": "a"},
    {"thinking": "", "role": "a", "reasoning_content": "", "reasoning": "r"},
    {"role": "a", "reasoning": null},
    "text"])");
  EXPECT_EQ(Json::parse(tokenizer.render_chat(messages)), expected);
}

}  // namespace
}  // namespace helix
