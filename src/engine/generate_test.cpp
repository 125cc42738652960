#include "engine/generate.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/file.h"
#include "base/json.h"
#include "base/testing/expect_error.h"
#include "base/testing/temporary_folder.h"
#include "engine/counting_model.h"

namespace helix {
namespace {

using helix::testing::expect_error;
using helix::testing::TemporaryFolder;

// Letters a to z are tokens 0 to 25; 26 and 27 are the two bytes of "é".
Tokenizer letters(const Json& added_tokens = Json::array()) {
  TemporaryFolder folder;
  Json vocabulary = Json::object();
  for (int i = 0; i < 26; ++i) vocabulary[std::string(1, static_cast<char>('a' + i))] = i;
  vocabulary["\xC3\x83"] = 26;  // how the byte-level alphabet writes byte C3
  vocabulary["\xC2\xA9"] = 27;  // and A9
  const Json json = {{"version", "1.0"},
                     {"added_tokens", added_tokens},
                     {"normalizer", nullptr},
                     {"pre_tokenizer",
                      {{"type", "ByteLevel"},
                       {"add_prefix_space", false},
                       {"trim_offsets", true},
                       {"use_regex", true}}},
                     {"post_processor", nullptr},
                     {"decoder",
                      {{"type", "ByteLevel"},
                       {"add_prefix_space", true},
                       {"trim_offsets", true},
                       {"use_regex", true}}},
                     {"model",
                      {{"type", "BPE"},
                       {"dropout", nullptr},
                       {"unk_token", nullptr},
                       {"vocab", vocabulary},
                       {"merges", Json::array()}}}};
  write_file_atomically(folder / "tokenizer.json", json.dump());
  return Tokenizer::open(folder.path());
}

class GenerateTest : public ::testing::Test {
 protected:
  Generation run(std::vector<std::int32_t> prompt, const GenerateOptions& options,
                 std::vector<std::int32_t> end_tokens = {}, const TextCallback& on_text = {}) {
    const GenerateRequest request = {.prompt = prompt, .end_tokens = std::move(end_tokens)};
    return generate(engine_, sequence_, &tokenizer_, request, options, on_text);
  }

  Tokenizer tokenizer_ = letters();
  Engine engine_{std::make_shared<CountingModel>(28), {.thread_count = 1, .context_length = 40}};
  Sequence sequence_ = engine_.new_sequence();
};

GenerateOptions at_most(std::size_t tokens) {
  GenerateOptions options;
  options.max_tokens = tokens;
  return options;
}

TEST_F(GenerateTest, GoesOnAndStreams) {
  std::string streamed;
  const Generation result = run({0, 1}, at_most(4), {}, [&](std::string_view piece) {
    streamed += piece;
    return true;
  });
  EXPECT_EQ(result.text, "cdef");
  EXPECT_EQ(streamed, "cdef");
  EXPECT_EQ(result.tokens, (std::vector<std::int32_t>{2, 3, 4, 5}));
  EXPECT_EQ(result.finish, FinishReason::kMaxTokens);
  EXPECT_EQ(result.prompt_tokens, 2U);
}

TEST_F(GenerateTest, AStopTextAcrossTokensEndsBeforeIt) {
  GenerateOptions options = at_most(20);
  options.stop = {"fgh"};
  std::string streamed;
  const Generation result = run({0}, options, {}, [&](std::string_view piece) {
    streamed += piece;
    return true;
  });
  EXPECT_EQ(result.text, "bcde");
  EXPECT_EQ(streamed, "bcde");
  EXPECT_EQ(result.finish, FinishReason::kStopText);
}

TEST_F(GenerateTest, ASpecialTokenThatIsLeftOutStopsByItsName) {
  tokenizer_ = letters(Json::parse(R"([{"id": 5, "content": "f", "special": true, "lstrip": false,
      "rstrip": false, "single_word": false, "normalized": false}])"));
  GenerateOptions options = at_most(8);
  EXPECT_EQ(run({0}, options).text, "bcdeghi");
  options.stop = {"f", "ez"};  // what the second holds back is given
  const Generation result = run({0}, options);
  EXPECT_EQ(result.text, "bcde");
  EXPECT_EQ(result.finish, FinishReason::kStopText);
  EXPECT_EQ(result.tokens.size(), 5U);
}

TEST_F(GenerateTest, EndTokensEndUnlessIgnored) {
  EXPECT_EQ(run({0}, at_most(10), {3}).finish, FinishReason::kEndToken);
  GenerateOptions options = at_most(10);
  options.ignore_end_tokens = true;
  EXPECT_EQ(run({0}, options, {3}).tokens.size(), 10U);
}

TEST_F(GenerateTest, CharactersComeWhole) {
  std::vector<std::string> pieces;
  const Generation result = run({24}, at_most(3), {}, [&](std::string_view piece) {
    pieces.emplace_back(piece);
    return true;
  });
  EXPECT_EQ(result.tokens, (std::vector<std::int32_t>{25, 26, 27}));
  EXPECT_EQ(pieces, (std::vector<std::string>{"z", "\xC3\xA9"}));
  EXPECT_EQ(run({24}, at_most(2)).text, "z\xEF\xBF\xBD");  // cut in the middle
}

TEST_F(GenerateTest, TheCallbackMayEndIt) {
  const Generation result =
      run({0}, at_most(20), {}, [](std::string_view piece) { return piece != "d"; });
  EXPECT_EQ(result.finish, FinishReason::kCaller);
  EXPECT_EQ(result.text, "bcd");
}

TEST_F(GenerateTest, TheContextEndsIt) {
  const Generation result = run({0, 1, 2}, at_most(0));
  EXPECT_EQ(result.finish, FinishReason::kContextEnd);
  EXPECT_EQ(result.tokens.size(), 37U);
}

TEST_F(GenerateTest, APromptThatDoesNotFitIsRefused) {
  expect_error(ErrorCode::kInvalidArgument, "the prompt has 41 tokens, the context takes 40",
               [&] { run(std::vector<std::int32_t>(41, 1), at_most(1)); });
  expect_error(ErrorCode::kInvalidArgument, "empty", [&] { run({}, at_most(1)); });
}

TEST_F(GenerateTest, TheNextPromptReusesWhatIsThere) {
  run({0, 1, 2}, at_most(3));  // the sequence has read 0 1 2 3 4
  const Generation result = run({0, 1, 2, 3, 9}, at_most(1));
  EXPECT_EQ(result.reused_tokens, 4U);
  EXPECT_EQ(result.tokens, (std::vector<std::int32_t>{10}));
}

TEST_F(GenerateTest, CancellationIsAnError) {
  CancelToken cancel;
  GenerateOptions options = at_most(20);
  options.hooks.cancel = &cancel;
  int pieces = 0;
  expect_error(ErrorCode::kCancelled, "", [&] {
    run({0}, options, {}, [&](std::string_view) {
      if (++pieces == 3) cancel.cancel();
      return true;
    });
  });
  EXPECT_EQ(pieces, 3);
}

TEST_F(GenerateTest, AnIdOutsideTheVocabularyIsRefusedWithPenaltiesToo) {
  GenerateOptions options;
  options.sampling.repetition_penalty = 1.1;
  for (const std::int32_t token : {-1, 28, std::numeric_limits<std::int32_t>::max()}) {
    expect_error(ErrorCode::kInvalidArgument, "token", [&] { run({1, token}, options); });
  }
}

}  // namespace
}  // namespace helix
