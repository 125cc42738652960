#include "helix/error.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/checked.h"
#include "base/message.h"
#include "base/testing/expect_error.h"
#include "helix/progress.h"
#include "helix/version.h"

namespace helix {
namespace {

using testing::expect_error;

TEST(Error, codes_keep_their_numbers) {
  EXPECT_EQ(static_cast<int>(ErrorCode::kInvalidArgument), 1);
  EXPECT_EQ(static_cast<int>(ErrorCode::kNotFound), 2);
  EXPECT_EQ(static_cast<int>(ErrorCode::kCorruptData), 3);
  EXPECT_EQ(static_cast<int>(ErrorCode::kUnsupported), 4);
  EXPECT_EQ(static_cast<int>(ErrorCode::kIoError), 5);
  EXPECT_EQ(static_cast<int>(ErrorCode::kOutOfMemory), 6);
  EXPECT_EQ(static_cast<int>(ErrorCode::kDeviceError), 7);
  EXPECT_EQ(static_cast<int>(ErrorCode::kCancelled), 8);
  EXPECT_EQ(static_cast<int>(ErrorCode::kInternal), 9);
}

TEST(Error, every_code_has_its_own_name) {
  std::set<std::string> names;
  for (int code = 1; code <= 9; ++code) {
    names.insert(error_code_name(static_cast<ErrorCode>(code)));
  }
  EXPECT_EQ(names.size(), 9U);
  EXPECT_FALSE(names.contains("unknown error"));
  EXPECT_STREQ(error_code_name(static_cast<ErrorCode>(200)), "unknown error");
}

TEST(Error, message_is_put_together_from_its_parts) {
  expect_error(ErrorCode::kCorruptData, "a.bin: header is 12 bytes",
               [] { throw_error(ErrorCode::kCorruptData, "a.bin", ": header is ", 12, " bytes"); });
}

TEST(Version, is_three_numbers) {
  EXPECT_TRUE(::testing::internal::RE::FullMatch(version(), "[0-9]+\\.[0-9]+\\.[0-9]+"));
}

TEST(Checked, multiplies_and_adds_up_to_the_last_number_that_fits) {
  constexpr std::uint64_t kMax = ~std::uint64_t{0};
  EXPECT_EQ(checked_multiply(kMax / 5, 5), kMax);
  EXPECT_EQ(checked_multiply(std::uint64_t{1} << 32, std::uint64_t{1} << 32), std::nullopt);
  EXPECT_EQ(checked_multiply(0, kMax), 0U);
  EXPECT_EQ(checked_add(kMax - 1, 1), kMax);
  EXPECT_EQ(checked_add(kMax, 1), std::nullopt);
}

TEST(Hooks, empty_ones_do_nothing) {
  const Hooks hooks;
  hooks.report({});
  hooks.warn("unheard");
  hooks.info("unheard");
  EXPECT_NO_THROW(hooks.check_cancelled());
}

TEST(Hooks, pass_on_what_they_are_told) {
  std::string heard;
  Hooks hooks;
  hooks.log = [&](LogLevel level, std::string_view message) {
    heard += (level == LogLevel::kWarning ? "w:" : "i:") + std::string(message) + ";";
  };
  hooks.warn("one");
  hooks.info("two");
  EXPECT_EQ(heard, "w:one;i:two;");
}

TEST(Hooks, cancelling_stops_the_work) {
  CancelToken token;
  Hooks hooks;
  hooks.cancel = &token;
  EXPECT_NO_THROW(hooks.check_cancelled());
  token.cancel();
  expect_error(ErrorCode::kCancelled, "stopped on request", [&] { hooks.check_cancelled(); });
}

}  // namespace
}  // namespace helix
