#include "tokenizer/pattern.h"

#include <gtest/gtest.h>

#include "tokenizer/split_pre_tokenizer.h"

namespace helix {
namespace {

using Texts = std::vector<std::string>;

Texts pieces(const char* expression, std::string_view text,
             SplitBehavior behavior = SplitBehavior::kIsolated, bool invert = false) {
  const auto find = [pattern = Pattern::regex(expression, "x")](std::string_view in,
                                                                const auto& found) {
    pattern.for_each_match(in, found);
  };
  Texts result;
  const Hooks hooks;
  CancelCheck cancel(hooks);
  make_split(find, behavior, invert)
      ->split(
          text, true, [&](std::string_view piece, bool) { result.emplace_back(piece); }, cancel);
  return result;
}

TEST(Pattern, MatchesMayBeEmpty) {
  EXPECT_EQ(pieces(R"((?=\d))", "a1b2"), (Texts{"a", "1b", "2"}));
  EXPECT_EQ(pieces(R"((?=(\d{3})+(?!\d)))", "1234567"), (Texts{"1", "234", "567"}));
  EXPECT_EQ(pieces("x*", "axxé"), (Texts{"a", "xx", "é"}));
  EXPECT_EQ(pieces("", ""), (Texts{}));
  const auto replaced = [](const char* expression, const char* text) {
    return Pattern::regex(expression, "x").replace_all(text, "-");
  };
  EXPECT_EQ(replaced(R"((?=\d))", "1"), "-1");
  EXPECT_EQ(replaced("x*", "axxé"), "-a-é-");  // none where the match before it ends
  EXPECT_EQ(replaced("|a", "ab"), "-a-b-");
  EXPECT_EQ(replaced("$", "é\n"), "é-\n-");
  EXPECT_EQ(replaced("x*", ""), "");
}

TEST(Pattern, EmptyDelimitersPartTheirNeighbours) {
  const auto split = [](SplitBehavior behavior, bool invert) {
    return pieces("1|(?=b)", "ab1bb1", behavior, invert);
  };
  EXPECT_EQ(split(SplitBehavior::kRemoved, false), (Texts{"a", "b", "b", "b"}));
  EXPECT_EQ(split(SplitBehavior::kRemoved, true), (Texts{"1", "1"}));
  EXPECT_EQ(split(SplitBehavior::kIsolated, false), (Texts{"a", "b", "1", "b", "b", "1"}));
  EXPECT_EQ(split(SplitBehavior::kIsolated, true), (Texts{"a", "b", "1", "b", "b", "1"}));
  EXPECT_EQ(split(SplitBehavior::kContiguous, false), (Texts{"a", "b", "1", "b", "b", "1"}));
  EXPECT_EQ(split(SplitBehavior::kContiguous, true), (Texts{"a", "b", "1", "b", "b", "1"}));
  EXPECT_EQ(split(SplitBehavior::kMergedWithPrevious, false), (Texts{"a", "b1", "b", "b1"}));
  EXPECT_EQ(split(SplitBehavior::kMergedWithPrevious, true), (Texts{"a", "b", "1b", "b", "1"}));
  EXPECT_EQ(split(SplitBehavior::kMergedWithNext, false), (Texts{"a", "b", "1b", "b", "1"}));
  EXPECT_EQ(split(SplitBehavior::kMergedWithNext, true), (Texts{"a", "b1", "b", "b1"}));
}

// Every character is a step of its own to the compiled form, whose stack is small.
TEST(Pattern, ALongRepeatedGroupMatches) {
  const std::string text(400'000, 'a');
  EXPECT_EQ(pieces(R"((?:\p{L}\p{M}*)+)", text), (Texts{text}));
}

}  // namespace
}  // namespace helix
