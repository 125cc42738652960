#include "engine/stop_matcher.h"

#include <gtest/gtest.h>

#include "base/testing/expect_error.h"

namespace helix {
namespace {

TEST(StopMatcherTest, FindsAStopTextAcrossPieces) {
  StopMatcher stops({"\n\nUser:"});
  EXPECT_EQ(stops.push("Hello\n"), "Hello");
  EXPECT_EQ(stops.push("\nUs"), "");
  EXPECT_EQ(stops.push("er: more"), "");
  EXPECT_TRUE(stops.stopped());
  EXPECT_EQ(stops.finish(), "");
}

TEST(StopMatcherTest, TextThatOnlyBeganLikeAStopIsGiven) {
  StopMatcher stops({"abc"});
  EXPECT_EQ(stops.push("xab"), "x");
  EXPECT_EQ(stops.push("d"), "abd");
  EXPECT_EQ(stops.push("a"), "");
  EXPECT_EQ(stops.finish(), "a");
  EXPECT_FALSE(stops.stopped());
}

TEST(StopMatcherTest, TheFirstOfSeveralCounts) {
  StopMatcher stops({"later", "now"});
  EXPECT_EQ(stops.push("it is now or later"), "it is ");
  EXPECT_TRUE(stops.stopped());
}

TEST(StopMatcherTest, CutsPlayNoRoleWhereStopTextsOverlap) {
  const std::string text = "xabcd";
  for (std::size_t size = 1; size <= text.size(); ++size) {
    StopMatcher stops({"abcd", "bc", "c"});
    std::string shown;
    for (std::size_t at = 0; at < text.size(); at += size)
      shown += stops.push(text.substr(at, size));
    EXPECT_EQ(shown, "xa") << size;
    EXPECT_TRUE(stops.stopped());
  }
}

TEST(StopMatcherTest, RepeatedBeginnings) {
  StopMatcher stops({"aab"});
  EXPECT_EQ(stops.push("aaa"), "a");
  EXPECT_EQ(stops.push("b!"), "");
  EXPECT_TRUE(stops.stopped());
}

TEST(StopMatcherTest, AnEmptyStopTextIsAnError) {
  helix::testing::expect_error(ErrorCode::kInvalidArgument, "empty", [] { StopMatcher({""}); });
  helix::testing::expect_error(ErrorCode::kInvalidArgument, "UTF-8",
                               [] { StopMatcher({"a\xbf"}); });
}

}  // namespace
}  // namespace helix
