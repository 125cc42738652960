#include "tokenizer/chat_template.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/testing/expect_error.h"
#include "tokenizer/testing/test_files.h"

namespace helix {
namespace {

using testing::expect_error;
using testing::read_json;
using testing::repository;

std::filesystem::path goldens() { return repository() / "tests" / "golden" / "chat"; }

// Renders as transformers did, or refuses with the template's own words.
void expect_same(const ChatTemplate& chat, const Json& variables, const Json& expected) {
  if (expected.contains("text")) {
    EXPECT_EQ(chat.render(variables), expected["text"].get<std::string>());
  } else {
    expect_error(ErrorCode::kInvalidArgument, expected["refused"], [&] { chat.render(variables); });
  }
}

class ChatGolden : public ::testing::TestWithParam<const char*> {};

TEST_P(ChatGolden, EqualsTransformers) {
  const Json golden = read_json(goldens() / (std::string(GetParam()) + ".json"));
  std::string source;
  if (golden["template"].is_string()) {
    source = golden["template"];
  } else {
    const auto config =
        testing::shared_data() / "tokenizers" / GetParam() / "tokenizer_config.json";
    if (!std::filesystem::exists(config)) GTEST_SKIP() << "no test data at " << config;
    source = read_json(config)["chat_template"];
  }
  const ChatTemplate chat(source, GetParam());
  ASSERT_GE(golden["cases"].size(), 20U);
  for (const Json& expected : golden["cases"]) {
    SCOPED_TRACE(expected.dump());
    expect_same(chat, expected["variables"], expected);
  }
}

INSTANTIATE_TEST_SUITE_P(Templates, ChatGolden,
                         ::testing::Values("chatml", "zephyr", "mistral", "llama2", "llama3",
                                           "tools", "qwen2.5"));

// Small templates: Python's semantics, Jinja's whitespace and scopes.
TEST(ChatTemplate, SemanticsEqualJinja) {
  const Json golden = read_json(goldens() / "semantics.json");
  ASSERT_GE(golden["cases"].size(), 300U);
  for (const Json& expected : golden["cases"]) {
    const std::string source = expected["template"];
    SCOPED_TRACE(source);
    if (expected.contains("text")) {
      EXPECT_EQ(ChatTemplate(source, "t").render(golden["variables"]),
                expected["text"].get<std::string>());
    } else {
      EXPECT_THROW(ChatTemplate(source, "t").render(golden["variables"]), Error);
    }
  }
}

void expect_refused(ErrorCode code, const std::string& part, const std::string& source) {
  SCOPED_TRACE(source.substr(0, 200));
  expect_error(code, part, [&] { ChatTemplate(source, "t").render(Json::object()); });
}

TEST(ChatTemplate, NamesWhatItDoesNotKnow) {
  constexpr ErrorCode kCode = ErrorCode::kUnsupported;
  expect_refused(kCode, "line 2: the statement 'include'", "\n{% include 'x' %}");
  expect_refused(kCode, "the filter 'wordwrap'", "{{ 'a' | wordwrap }}");
  expect_refused(kCode, "the test 'prime'", "{{ 3 is prime }}");
  expect_refused(kCode, "__class__", "{{ ''.__class__ }}");
  expect_refused(kCode, "append", "{% set l = [] %}{{ l.append(1) }}");
  expect_refused(kCode, "the format {:>3}", "{{ '{:>3}'.format(1) }}");
  expect_refused(kCode, "the format {a.b}", "{{ '{a.b}'.format(a=1) }}");
  expect_refused(kCode, "the format {!r}", "{{ '{!r}'.format(1) }}");
  expect_refused(kCode, "varargs", "{% macro m() %}{{ varargs }}{% endmacro %}{{ m() }}");
  expect_refused(kCode, "recursive", "{% for a in [] recursive %}{% endfor %}");
  expect_refused(kCode, "generation", "{% generation %}{{ caller() }}{% endgeneration %}");
  expect_refused(kCode, "a parameter 'caller'", "{% macro m(caller=1) %}{% endmacro %}");
  expect_refused(kCode, "sets and reads 'caller'",
                 "{% macro m() %}{% set caller = 1 %}{{ caller }}{% endmacro %}");
}

// Names that Jinja has not are refused before anything runs.
TEST(ChatTemplate, KnowsItsNamesWhenParsed) {
  constexpr ErrorCode kCode = ErrorCode::kUnsupported;
  expect_error(kCode, "t, line 2: the filter 'nope'",
               [] { ChatTemplate("{% for x in [] %}\n{{ x | nope }}{% endfor %}", "t"); });
  expect_error(kCode, "t, line 1: the test 'nope'",
               [] { ChatTemplate("{% macro m() %}{{ 1 is nope }}{% endmacro %}", "t"); });
}

// Python has a value here, this interpreter none.
TEST(ChatTemplate, RefusesRatherThanGuesses) {
  constexpr ErrorCode kCode = ErrorCode::kUnsupported;
  expect_refused(kCode, "complex", "{{ -7 ** 2.5 }}");
  expect_refused(kCode, "underscores", "{{ '1_0' | float }}");
  expect_refused(kCode, "beyond ASCII", "{{ '\u0663' | int }}");
  expect_refused(kCode, "beyond ASCII", "{{ '\u0663' | float }}");
  expect_refused(kCode, "of this size", "{{ '1e400' | float }}");
  expect_refused(kCode, "of this size", "{{ 'ffffffffffffffffffff' | int(0, 16) }}");
  expect_refused(kCode, "a backslash before", "{{ '\\\u00e9' }}");
  expect_refused(kCode, "in a view", "{{ [1] in {}.values() }}");
  expect_refused(kCode, "a negative constant", "{% set n = 2 %}{{ (-2) ** n }}");
  expect_refused(kCode, "integers this large", "{{ 9007199254740993 / 3 }}");
  expect_refused(kCode, "an indent so wide", "{{ [1] | tojson(indent=65) }}");
  expect_refused(kCode, "the name 'q'", "{% set a | replace('x', q) %}x{% endset %}");
  expect_refused(ErrorCode::kInvalidArgument, "not subscriptable", "{{ 5[:] }}");
}

// Markup escapes what other text meets it; where that is not followed, it is refused.
TEST(ChatTemplate, RefusesMarkupThatItDoesNotFollow) {
  const std::string set = "{% set x = '<' | safe %}{% set n = namespace() %}";
  for (const char* use :
       {"{{ [x] }}", "{{ {'k': x} }}", "{{ x.replace('<', '>') }}", "{{ x * 2 }}", "{{ x[0] }}",
        "{{ x[:1] }}", "{{ x | upper }}", "{{ x | string }}", "{{ ['a'] | join(x) }}",
        "{{ x % 1 }}", "{% for c in x %}{% endfor %}", "{% set n.x = x %}", "{% set a, b = x %}",
        "{{ ['a'] | map('safe') | list }}", "{{ dict(k=x) }}", "{{ '{}'.format(x) }}"}) {
    expect_refused(ErrorCode::kUnsupported, "line 1", set + use);
  }
}

// The steps that a template may take grow with the conversation.
TEST(ChatTemplate, RendersLongConversations) {
  const ChatTemplate chat(
      "{% for m in messages %}{% if m.role == 'user' and m.content is string %}"
      "{{ '<' + m['role'] + '>' + m['content'] | trim + '\n' }}{% endif %}{% endfor %}",
      "t");
  const Json message{{"role", "user"}, {"content", "hello"}};
  const Json variables{{"messages", std::vector<Json>(100'000, message)}};
  EXPECT_EQ(chat.render(variables).size(), 100'000 * std::string("<user>hello\n").size());
}

TEST(ChatTemplate, RefusesBrokenSyntax) {
  for (const char* source : {"{% if x %}", "{% endif %}", "{{ x", "{{ (x }}", "{{ 'a }}", "{# a",
                             "{{ }}", "{% for x %}{% endfor %}", "{% break %}", "{{ x | }}",
                             "{{ '\\u12' }}", "{{ '\\U00110000' }}", "{{ 007 }}", "{{ 1__0 }}"}) {
    expect_refused(ErrorCode::kCorruptData, "line 1", source);
  }
}

TEST(ChatTemplate, CarriesTheTemplatesOwnWords) {
  expect_refused(ErrorCode::kInvalidArgument, "t, line 3: no system role",
                 "\n\n{{ raise_exception('no system role') }}");
}

// A hostile template ends with an error, however it tries to run or grow without end.
TEST(ChatTemplate, EndsWhateverTheTemplateDoes) {
  const std::string twice = "{% set n.x = n.x ~ n.x %}";
  const std::string loops = "{% for i in range(100000) %}";
  const std::string nested = loops + loops + "{% endfor %}{% endfor %}";
  const std::vector<std::string> hostile{
      nested,
      "{% set n = namespace(x='aaaaaaaa') %}" + loops + twice + "{% endfor %}",
      std::string("{{ 'a' * 999999999999 }}"),
      std::string("{{ [0] * 999999999 }}"),
      std::string("{{ 9 ** 999999999 }}"),
      std::string("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"),
      "{% set n = namespace(x=[]) %}" + loops + "{% set n.x = [n.x] %}{% endfor %}",
      "{% set n = namespace() %}{% set n.x = n %}",
      "{{ " + std::string(100'000, '(') + "1" + std::string(100'000, ')') + " }}",
      "{{ " + std::string(100'000, '-') + "1 }}",
  };
  for (const std::string& source : hostile) {
    SCOPED_TRACE(source.substr(0, 100));
    expect_error(ErrorCode::kUnsupported, "not supported",
                 [&] { ChatTemplate(source, "t").render(Json::object()); });
  }
  std::string chain = "{{ 1";
  for (int i = 0; i < 50'000; ++i) chain += "+1";
  expect_refused(ErrorCode::kUnsupported, "this deep", chain + " }}");
}

// Lists that hold one list twice are small, but walking over them takes for ever.
TEST(ChatTemplate, EndsWhereValuesShareTheirParts) {
  const auto doubled = [](const std::string& open, const std::string& middle,
                          const std::string& close) {
    std::string source = "{% set n = namespace(a=1, b=1) %}{% for i in range(100) %}";
    for (const std::string name : {"n.a", "n.b"}) {
      source += "{% set " + name + " = " + open + name + middle + name + close + " %}";
    }
    return source + "{% endfor %}";
  };
  const std::string lists = doubled("[", ", ", "]");
  for (const char* use :
       {"{{ n.a }}", "{{ n.a ~ '' }}", "{{ n.a | string }}", "{{ n.a | tojson }}",
        "{{ n.a == n.b }}", "{{ n.a < n.b }}", "{{ n.a in [n.b] }}", "{{ [n.a, n.b] | sort }}",
        "{{ [n.a].count(n.b) }}", "{{ [n.a].index(n.b) }}", "{{ [n.a, n.b] | max }}",
        "{% for x in [n.a, n.b] %}{{ loop.changed(x) }}{% endfor %}"}) {
    expect_refused(ErrorCode::kUnsupported, "not supported", lists + use);
  }
  expect_refused(ErrorCode::kUnsupported, "bytes", "{{ [[1] * 1000] * 1000 * 1000 }}");
  const std::string dicts = doubled("{'a': ", ", 'b': ", "}");
  expect_refused(ErrorCode::kUnsupported, "bytes", dicts + "{{ n.a }}");
  expect_refused(ErrorCode::kUnsupported, "steps", dicts + "{{ n.a == n.b }}");
  const std::string tuples = doubled("(", ", ", ")");
  expect_refused(ErrorCode::kUnsupported, "steps", tuples + "{{ n.a in {'k': n.b}.values() }}");
  expect_refused(ErrorCode::kUnsupported, "in a view",
                 doubled("(", ", ", ", [])") + "{{ n.a in {}.values() }}");
}

TEST(ChatTemplate, RefusesInvalidUtf8) {
  expect_refused(ErrorCode::kInvalidArgument, "offset 1", "a\xFF");
}

}  // namespace
}  // namespace helix
