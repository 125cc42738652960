// The public door, helix/model.h, on a folder of this test.

#include <gtest/gtest.h>

#include "base/testing/expect_error.h"
#include "helix/helix.h"
#include "model_fixture.h"

namespace helix::parity {
namespace {

using helix::testing::expect_error;

class ModelApiTest : public ::testing::Test {
 protected:
  ModelApiTest() : expected_(read_expected(case_folder("llama-gqa") / "expected.safetensors")) {
    options_.precision = Precision::kF32;
    options_.thread_count = 1;
  }
  Model open() const { return Model(case_folder("llama-gqa"), options_); }

  Expected expected_;
  ModelOptions options_;
};

TEST_F(ModelApiTest, DescribesWhatItLoaded) {
  options_.context_length = 48;
  const ModelDescription found = open().describe();
  EXPECT_EQ(found.model_type, "llama");
  EXPECT_FALSE(found.compressed);
  EXPECT_EQ(found.dtype, "float32");
  EXPECT_EQ(found.thread_count, 1U);
  EXPECT_EQ(found.vocabulary_size, 64U);
  EXPECT_EQ(found.context_length, 48U);
  // Two layers of 32 x 32 (q, o), 16 x 32 (k, v) and three of 56 x 32, the head, a row of the
  // table.
  EXPECT_EQ(found.token_weight_bytes, 4U * (2 * (2 * 1024 + 2 * 512 + 3 * 1792) + 64 * 32 + 32));
}

TEST_F(ModelApiTest, LogitsOfAllTokensAndOfTheLast) {
  Model model = open();
  const std::vector<float> all = model.logits(expected_.tokens);
  EXPECT_LT(relative_difference(all, expected_.logits), 1e-4);
  const std::vector<float> last = model.logits(expected_.tokens, true);
  ASSERT_EQ(last.size(), 64U);
  const std::vector<float> end(all.end() - 64, all.end());
  EXPECT_LT(relative_difference(last, end), 1e-5);  // products of one row sum in another order
}

TEST_F(ModelApiTest, GeneratesWithTokensWhereThereIsNoTokenizer) {
  Model model = open();
  GenerateOptions options;
  options.max_tokens = 6;
  options.ignore_end_tokens = true;
  const Generation once = model.generate(expected_.tokens, options);
  EXPECT_EQ(once.tokens.size(), 6U);
  EXPECT_EQ(once.text, "");
  // Greedy steps are what the logits of the whole text say.
  std::vector<std::int32_t> text = expected_.tokens;
  for (const std::int32_t token : once.tokens) {
    const std::vector<float> logits = model.logits(text, true);
    EXPECT_EQ(std::max_element(logits.begin(), logits.end()) - logits.begin(), token);
    text.push_back(token);
  }
  // Again, from what is left in the cache.
  const Generation again = model.generate(expected_.tokens, options);
  EXPECT_EQ(again.tokens, once.tokens);
  EXPECT_EQ(again.reused_tokens, expected_.tokens.size() - 1);
}

// RoPE that depends on the length: what a longer or a shorter text has left in the cache is of no
// use.
TEST_F(ModelApiTest, WhatWasReadBeforeDoesNotShowInAnAnswer) {
  const auto folder = case_folder("llama-rope-dynamic");
  const Expected expected = read_expected(folder / "expected.safetensors");
  GenerateOptions options;
  options.max_tokens = 4;
  options.ignore_end_tokens = true;
  const std::span<const std::int32_t> text = expected.tokens;
  const auto fresh = [&](std::span<const std::int32_t> prompt) {
    return Model(folder, options_).generate(prompt, options).tokens;
  };
  Model model(folder, options_);
  for (const std::size_t length : {24U, 5U, 21U, 4U}) {  // 16 positions are trained
    const auto prompt = text.first(length);
    const Generation found = model.generate(prompt, options);
    EXPECT_EQ(found.tokens, fresh(prompt)) << length;
    EXPECT_EQ(found.reused_tokens, 0U) << length;
  }
  EXPECT_EQ(model.generate(text.first(4), options).reused_tokens, 3U);  // short texts share
}

TEST_F(ModelApiTest, WhatNeedsATokenizerSaysSo) {
  Model model = open();
  const std::vector<ChatMessage> messages = {{"user", "Hello"}};
  EXPECT_FALSE(model.has_chat_template());
  expect_error(ErrorCode::kNotFound, "tokenizer", [&] { model.generate("Hello"); });
  expect_error(ErrorCode::kNotFound, "tokenizer", [&] { model.chat(messages); });
  expect_error(ErrorCode::kNotFound, "tokenizer", [&] { model.evaluate("Hello"); });
}

TEST_F(ModelApiTest, FaultsOfTheCaller) {
  Model model = open();
  const std::vector<std::int32_t> unknown = {1, 64};
  const std::vector<std::int32_t> negative = {-1};
  expect_error(ErrorCode::kInvalidArgument, "token 64", [&] { model.logits(unknown); });
  expect_error(ErrorCode::kInvalidArgument, "token -1", [&] { model.generate(negative); });
  expect_error(ErrorCode::kInvalidArgument, "no tokens", [&] { model.logits({}); });
  expect_error(ErrorCode::kInvalidArgument, "65 tokens, the context takes 64",
               [&] { model.logits(std::vector<std::int32_t>(65, 1)); });
  options_.context_length = 65;
  expect_error(ErrorCode::kInvalidArgument, "65", [&] { open(); });
}

TEST_F(ModelApiTest, CancelledBeforeTheFirstChunk) {
  CancelToken cancel;
  cancel.cancel();
  Hooks hooks;
  hooks.cancel = &cancel;
  Model model = open();
  expect_error(ErrorCode::kCancelled, "", [&] { model.logits(expected_.tokens, false, hooks); });
  EXPECT_EQ(model.logits(expected_.tokens).size(), expected_.logits.size());
}

}  // namespace
}  // namespace helix::parity
