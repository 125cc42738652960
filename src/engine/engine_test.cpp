#include "engine/engine.h"

#include <gtest/gtest.h>

#include <numeric>

#include "base/testing/expect_error.h"
#include "engine/counting_model.h"
#include "engine/sampler.h"

namespace helix {
namespace {

using helix::testing::expect_error;

std::vector<std::int32_t> count_up(std::size_t count) {
  std::vector<std::int32_t> tokens(count);
  std::iota(tokens.begin(), tokens.end(), 0);
  return tokens;
}

class EngineTest : public ::testing::Test {
 protected:
  std::shared_ptr<const CountingModel> model_ = std::make_shared<CountingModel>(40);
  Engine engine_{model_, {.thread_count = 1, .context_length = 32, .chunk_tokens = 4}};
};

TEST_F(EngineTest, AStepServesManySequencesAndKinds) {
  Sequence first = engine_.new_sequence();
  Sequence second = engine_.new_sequence();
  Sequence third = engine_.new_sequence();
  const std::vector<std::int32_t> a = {1, 2, 3};
  const std::vector<std::int32_t> b = {10, 20};
  const std::vector<std::int32_t> c = {30};
  const std::vector<Engine::Request> requests = {
      {.sequence = &first, .tokens = a, .wanted = Engine::Wanted::kLast},
      {.sequence = &second, .tokens = b, .wanted = Engine::Wanted::kAll},
      {.sequence = &third, .tokens = c, .wanted = Engine::Wanted::kNothing}};
  const auto logits = engine_.step(requests);
  ASSERT_EQ(logits.size(), 3U * 40U);
  EXPECT_EQ(most_likely(logits.first(40)), 4);
  EXPECT_EQ(most_likely(logits.subspan(40, 40)), 11);
  EXPECT_EQ(most_likely(logits.subspan(80, 40)), 21);
  EXPECT_EQ(logits[4], 3.0F);  // the third token of its sequence
  EXPECT_EQ(first.tokens(), a);
  EXPECT_EQ(third.tokens(), c);
}

TEST_F(EngineTest, AStepThatDoesNotFitChangesNothing) {
  Sequence first = engine_.new_sequence();
  Sequence second = engine_.new_sequence();
  const auto few = count_up(3);
  const auto many = count_up(33);
  const std::vector<Engine::Request> requests = {{.sequence = &first, .tokens = few},
                                                 {.sequence = &second, .tokens = many}};
  expect_error(ErrorCode::kInvalidArgument, "33 tokens, the context takes 32",
               [&] { engine_.step(requests); });
  const std::vector<Engine::Request> twice = {requests[0], requests[0]};
  expect_error(ErrorCode::kInvalidArgument, "occurs twice", [&] { engine_.step(twice); });
  EXPECT_EQ(first.length(), 0U);
}

TEST_F(EngineTest, AppendWorksInChunksAndGivesTheLast) {
  Sequence sequence = engine_.new_sequence();
  const auto logits = engine_.append(sequence, count_up(11));
  EXPECT_EQ(model_->calls, 3);
  EXPECT_EQ(logits.size(), 40U);
  EXPECT_EQ(logits[11], 11.0F);
}

TEST_F(EngineTest, VisitsTheRowsFromTheFirstOn) {
  Sequence sequence = engine_.new_sequence();
  std::vector<std::size_t> rows;
  engine_.visit_logits(sequence, count_up(10), 3,
                       [&](std::size_t row, std::span<const float> logits) {
                         for (std::size_t i = 0; i < logits.size() / 40; ++i) {
                           EXPECT_EQ(most_likely(logits.subspan(i * 40, 40)),
                                     static_cast<std::int32_t>(row + i + 1));
                           rows.push_back(row + i);
                         }
                       });
  EXPECT_EQ(rows, (std::vector<std::size_t>{3, 4, 5, 6, 7, 8, 9}));
}

TEST_F(EngineTest, CancellationInThePromptLeavesTheSequenceAsItWas) {
  Sequence sequence = engine_.new_sequence();
  engine_.append(sequence, std::vector<std::int32_t>{5, 6});
  CancelToken cancel;
  Hooks hooks;
  hooks.cancel = &cancel;
  std::size_t visits = 0;
  expect_error(ErrorCode::kCancelled, "", [&] {
    engine_.visit_logits(
        sequence, count_up(20), 0,
        [&](std::size_t, std::span<const float>) {
          if (++visits == 2) cancel.cancel();
        },
        hooks);
  });
  EXPECT_EQ(visits, 2U);  // of five chunks
  EXPECT_EQ(sequence.tokens(), (std::vector<std::int32_t>{5, 6}));
}

TEST_F(EngineTest, KeepsWhatTextsHaveInCommon) {
  Sequence sequence = engine_.new_sequence();
  engine_.append(sequence, std::vector<std::int32_t>{1, 2, 3, 4});
  EXPECT_EQ(sequence.keep_common(std::vector<std::int32_t>{1, 2, 9}), 2U);
  EXPECT_EQ(sequence.tokens(), (std::vector<std::int32_t>{1, 2}));
  // Something is left to compute even where all is there.
  EXPECT_EQ(sequence.keep_common(std::vector<std::int32_t>{1, 2}), 1U);
  EXPECT_EQ(sequence.keep_common({}), 0U);
}

TEST_F(EngineTest, AContextBeyondTheModelIsRefused) {
  expect_error(ErrorCode::kInvalidArgument, "65 tokens is more than the model was made for, 64",
               [&] { Engine(model_, {.thread_count = 1, .context_length = 65}); });
}

}  // namespace
}  // namespace helix
