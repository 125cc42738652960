#include "eval/windows.h"

#include <gtest/gtest.h>

#include <array>

#include "base/testing/expect_error.h"

namespace helix {
namespace {

// The loop of transformers' page on perplexity of fixed-length models, as it stands there:
// (begin, end, tokens scored) for every window, the label shift taken off the first.
std::vector<std::array<std::size_t, 3>> textbook(std::size_t count, std::size_t window,
                                                 std::size_t stride) {
  std::vector<std::array<std::size_t, 3>> rows;
  std::size_t previous_end = 0;
  for (std::size_t begin = 0; begin < count; begin += stride) {
    const std::size_t end = std::min(begin + window, count);
    const std::size_t target = end - previous_end;
    rows.push_back({begin, end, begin == 0 ? target - 1 : target});
    previous_end = end;
    if (end == count) break;
  }
  return rows;
}

TEST(WindowsTest, OverlappingWindowsFollowTheTextbook) {
  for (const std::size_t count : {2U, 7U, 8U, 9U, 12U, 13U, 100U}) {
    for (const std::size_t stride : {1U, 2U, 3U, 7U}) {
      const auto expected = textbook(count, 8, stride);
      const auto found = overlapping_windows(count, 8, stride);
      ASSERT_EQ(found.size(), expected.size()) << count << " " << stride;
      for (std::size_t i = 0; i < found.size(); ++i) {
        EXPECT_EQ(found[i].begin, expected[i][0]);
        EXPECT_EQ(found[i].end, expected[i][1]);
        EXPECT_EQ(found[i].end - found[i].begin - found[i].first_scored, expected[i][2]);
      }
    }
  }
}

TEST(WindowsTest, OverlappingWindowsScoreEveryTokenButTheFirstOnce) {
  ScoredText text;
  text.windows = overlapping_windows(10'000, 2048, 512);
  EXPECT_EQ(text.scored_tokens(), 9'999U);
}

TEST(WindowsTest, SeparateWindowsLoseTheirFirstTokens) {
  const auto windows = separate_windows(10, 4);
  ASSERT_EQ(windows.size(), 3U);
  EXPECT_EQ(windows[2].begin, 8U);
  EXPECT_EQ(windows[2].end, 10U);
  ScoredText text;
  text.windows = windows;
  EXPECT_EQ(text.scored_tokens(), 7U);
  EXPECT_EQ(text.computed_tokens(), 10U);
  EXPECT_EQ(separate_windows(9, 4).size(), 2U);  // one token alone predicts nothing
}

}  // namespace
}  // namespace helix
