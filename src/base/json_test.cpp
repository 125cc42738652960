#include "base/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <string_view>

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

TEST(ParseJson, refuses_what_follows_a_zero_byte) {
  expect_error(ErrorCode::kCorruptData, "f: not valid JSON: it holds a zero byte",
               [] { parse_json(std::string_view("{}\0garbage", 10), "f"); });
}

// With a look-up for every key this takes a minute.
TEST(ParseJson, reads_an_object_of_many_keys) {
  constexpr int kCount = 200'000;
  std::string text = "{";
  for (int i = 0; i < kCount; ++i) {
    text += (i == 0 ? "\"model.layers." : ",\"model.layers.") + std::to_string(i) +
            "\":" + std::to_string(i);
  }
  const Json json = parse_json(text + "}", "f");
  ASSERT_EQ(json.size(), static_cast<std::size_t>(kCount));
  EXPECT_EQ(json.back(), kCount - 1);
}

TEST(PythonJson, reads_and_writes_the_words_that_json_lacks) {
  const std::string text =
      "{\n  \"a\": [\n    0.0,\n    Infinity,\n    -Infinity\n  ],\n  \"NaN\": NaN,\n"
      "  \"s\": \"a \\\" NaN Infinity\",\n  \"e\": {},\n  \"f\": []\n}\n";
  const Json json = parse_python_json(text, "f");
  EXPECT_EQ(json["a"][1].get<double>(), std::numeric_limits<double>::infinity());
  EXPECT_EQ(json["a"][2].get<double>(), -std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(json["NaN"].get<double>()));
  EXPECT_EQ(json["s"], "a \" NaN Infinity");
  EXPECT_EQ(dump_python_json(json), text);
}

// What a string says is never taken for a number, nor the other way round.
TEST(PythonJson, leaves_strings_alone) {
  const std::string text = "[\n  \"\",\n  \"\xee\x80\x80NaN\",\n  \"x\\\"\xee\x80\x80NaN\"\n]\n";
  EXPECT_EQ(dump_python_json(parse_python_json(text, "f")), text);
}

TEST(PythonJson, refuses_the_words_where_no_number_may_stand) {
  for (const char* text : {"{NaN: 1}", "[-NaN]", "[NaNNaN]", "[\"a\"NaN]", "[+Infinity]"}) {
    expect_error(ErrorCode::kCorruptData, "f: not valid JSON",
                 [&] { parse_python_json(text, "f"); });
  }
}

}  // namespace
}  // namespace helix
