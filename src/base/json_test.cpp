#include "base/json.h"

#include <gtest/gtest.h>

#include <string>

#include "base/testing/expect_error.h"

namespace helix {
namespace {

using testing::expect_error;

std::string nested_arrays(std::size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

TEST(ParseJson, keeps_the_order_of_keys) {
  const std::string text = R"({"zebra":1,"apple":{"b":[1,2.5,"x"],"a":null}})";
  EXPECT_EQ(parse_json(text, "f").dump(), text);
}

TEST(ParseJson, names_the_file_and_the_fault) {
  for (const char* text : {"", "{", "{\"a\":1,}", "nan", "[1] [2]", "\"\xff\"", "[1e999]"}) {
    expect_error(ErrorCode::kCorruptData, "config.json: not valid JSON",
                 [&] { parse_json(text, "config.json"); });
  }
}

TEST(ParseJson, refuses_a_key_that_occurs_twice_in_one_object) {
  expect_error(ErrorCode::kCorruptData, "f: key \"a\" occurs twice",
               [] { parse_json(R"({"a":1,"b":2,"a":3})", "f"); });
  expect_error(ErrorCode::kCorruptData, "key \"x\" occurs twice",
               [] { parse_json(R"({"a":[{"x":1,"x":1}]})", "f"); });
  expect_error(ErrorCode::kCorruptData, "key \"a\" occurs twice",
               [] { parse_json(R"({"a":{"a":1},"\u0061":2})", "f"); });
}

TEST(ParseJson, allows_the_same_key_in_different_objects) {
  EXPECT_NO_THROW(parse_json(R"({"a":{"a":1},"b":[{"a":1},{"a":2}]})", "f"));
}

TEST(ParseJson, bounds_the_nesting) {
  EXPECT_NO_THROW(parse_json(nested_arrays(100), "f"));
  expect_error(ErrorCode::kCorruptData, "nested deeper than 100",
               [] { parse_json(nested_arrays(101), "f"); });
  expect_error(ErrorCode::kCorruptData, "nested deeper than 100",
               [] { parse_json(std::string(1'000'000, '['), "f"); });
}

}  // namespace
}  // namespace helix
