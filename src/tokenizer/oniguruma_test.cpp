#include <gtest/gtest.h>

#include "base/testing/expect_error.h"
#include "tokenizer/pattern.h"

namespace helix {
namespace {

using testing::expect_error;
using Texts = std::vector<std::string>;

bool matches(const char* expression, std::string_view text) {
  bool found = false;
  Pattern::regex(expression, "x").for_each_match(text, [&](auto, auto) { found = true; });
  return found;
}

struct Class {
  const char* expression;
  Texts members;
  Texts others;
};

class OnigurumaClass : public ::testing::TestWithParam<Class> {};

TEST_P(OnigurumaClass, HoldsWhatItHoldsInPython) {
  SCOPED_TRACE(GetParam().expression);
  for (const std::string& c : GetParam().members)
    EXPECT_TRUE(matches(GetParam().expression, c)) << c;
  for (const std::string& c : GetParam().others)
    EXPECT_FALSE(matches(GetParam().expression, c)) << c;
}

INSTANTIATE_TEST_SUITE_P(
    Scripts, OnigurumaClass,
    ::testing::Values(
        Class{R"(\p{Han})", {"中", "々"}, {"。", "、", "・", "a"}},
        Class{R"(\P{Han})", {"。", "a"}, {"中"}}, Class{R"(\p{^Han})", {"。", "a"}, {"中"}},
        Class{R"(\P{^Han})", {"中"}, {"。"}}, Class{R"([\p{Hani}a])", {"中", "a"}, {"。"}},
        Class{R"([^\p{Han}])", {"。"}, {"中"}}, Class{R"(\p{Hiragana})", {"あ"}, {"ー", "。"}},
        Class{R"(\p{Lu})", {"A"}, {"a"}}));

INSTANTIATE_TEST_SUITE_P(
    Names, OnigurumaClass,
    ::testing::Values(
        Class{"[[:punct:]]", {"!", "$", "©", "—"}, {"a", "1", " "}},
        Class{"[[:alpha:]]", {"a", "\u0345", "Ⓐ", "Ⅷ"}, {"\u0301", "1", "_"}},
        Class{"[[:alnum:]]", {"a", "1", "\u0345"}, {"\u0301", "²"}},
        Class{"[[:word:]]", {"a", "_", "\u0301", "Ⓐ"}, {"²", "-", "\u200d"}},
        Class{"[[:upper:]]", {"A", "Ⓐ"}, {"ǅ", "a"}}, Class{"[[:lower:]]", {"a", "ª", "ⓐ"}, {"A"}},
        Class{"[[:space:]]", {" ", "\v", "\u0085"}, {"\u180e", "\u200b"}},
        Class{"[[:cntrl:]]", {"\n", "\u0085"}, {"\u00ad"}},
        Class{"[[:graph:]]", {"a", "\u00ad", "\u0301"}, {" ", "\u2028", "\n"}},
        Class{"[[:print:]]", {"a", "\u3000"}, {"\u2028", "\n"}},
        Class{"[[:^alnum:]b]", {"-", "b"}, {"a", "1"}}, Class{R"(\p{Letter})", {"a", "中"}, {"1"}},
        Class{R"(\P{Other_Punctuation})", {"a", "-"}, {"!"}},
        Class{R"(\p{cased letter})", {"a", "ǅ"}, {"中"}},
        Class{R"(\p{Punct})", {"!", "—"}, {"$", "©"}}, Class{R"(\p{Word})", {"a", "²"}, {"-"}}));

INSTANTIATE_TEST_SUITE_P(
    Brackets, OnigurumaClass,
    ::testing::Values(
        Class{R"([^(\s|[.,!?…。，、।۔،])])", {"a", "-"}, {"(", "|", ")", " ", "।", "."}},
        Class{R"([\p{Han}&&[^\p{N}々]])", {"中"}, {"々", "〇", "a"}},
        Class{R"([a-z&&[^b]q])", {"a", "q", "z"}, {"b", "A"}},
        Class{R"([^a-c&&b-d])", {"a", "d"}, {"b", "c"}},
        Class{R"([a-d&&b-e&&c-f])", {"c", "d"}, {"b", "e"}},
        Class{R"([^\s[^\p{L}]])", {"a"}, {" ", "1"}}, Class{R"([\W\d])", {"1", "-", "²"}, {"a"}},
        Class{R"([[:,]a])", {":", ",", "a"}, {"["}},
        Class{R"([a-c-e\]\-&])", {"b", "-", "e", "]", "&"}, {"d"}},
        Class{R"([^\S\n])", {" "}, {"\n", "a"}}));

INSTANTIATE_TEST_SUITE_P(Escapes, OnigurumaClass,
                         ::testing::Values(Class{R"(\v)", {"\v"}, {"\n", "\u2028"}},
                                           Class{R"([\v\b\101])", {"\v", "\b", "A"}, {"\n", "1"}},
                                           Class{R"(\u4e2d)", {"中"}, {"u"}},
                                           Class{R"([\x41\x{4E2D}])", {"A", "中"}, {"x"}},
                                           Class{R"(\{{1}\.)", {"{."}, {"{", ".."}}));

TEST(Oniguruma, WhatPcre2WouldReadDifferentlyIsRefused) {
  for (const char* expression :
       {R"(\pL)", R"(\xC3\xA9)", R"([\xE9])", "a{2}+", "a{2}?", "(*UTF)a", R"(\V)", R"(\q)", "[]a]",
        "[a&&]", "[a", "[[a]", R"([\k])", "[[:foo:]]", R"(\p{L)", R"(\p{Nonsense})", "a\\"}) {
    expect_error(ErrorCode::kUnsupported, expression, [&] { Pattern::regex(expression, "x"); });
  }
  const std::string deep(100'000, '[');
  expect_error(ErrorCode::kUnsupported, "deep", [&] { Pattern::regex(deep, "x"); });
}

TEST(Oniguruma, AnIntervalMayLackItsBeginning) {
  const auto replaced = [](const char* expression, const char* text) {
    return Pattern::regex(expression, "x").replace_all(text, "-");
  };
  EXPECT_EQ(replaced("ba{,2}", "baaab"), "-a-");
  EXPECT_EQ(replaced("a{,}", "aa{,}"), "a-");
}

}  // namespace
}  // namespace helix
