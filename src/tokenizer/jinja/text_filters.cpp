#include <algorithm>

#include "base/message.h"
#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/text_case.h"
#include "tokenizer/jinja/text_operations.h"
#include "tokenizer/unicode.h"
#include "tokenizer/utf8.h"

namespace helix::jinja {
namespace {

Value trim(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "trim", arguments, {"chars"});
  const std::string text = runtime.to_text(value);
  if (!bound.has(0) || bound.required(0).is_none()) {
    return runtime.text(std::string(strip(text, Side::kBoth)));
  }
  return runtime.text(std::string(strip(text, bound.text(0), Side::kBoth)));
}

template <std::string (*kFunction)(Runtime&, std::string_view)>
Value change_case(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "a case filter", arguments, {});
  return runtime.text(kFunction(runtime, runtime.to_text(value)));
}

// Jinja's title, unlike str.title: a word begins behind whitespace, hyphens and opening brackets.
Value title_filter(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "title", arguments, {});
  const std::string text = runtime.to_text(value);
  std::string result;
  std::size_t begin = 0;
  const auto finish_word = [&](std::size_t end) {
    result += capitalize(runtime, std::string_view(text).substr(begin, end - begin));
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((text[i] & 0x80) != 0) runtime.unsupported("the filter 'title' beyond ASCII");
    if (std::string_view(" \t\n\r\f\v-({[<").find(text[i]) == std::string_view::npos) continue;
    finish_word(i);
    result += text[i];
    begin = i + 1;
  }
  finish_word(text.size());
  return runtime.text(std::move(result));
}

Value replace_filter(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "replace", arguments, {"old", "new", "count"}, 2);
  const std::string text = runtime.to_text(value);
  const std::string from = runtime.to_text(bound.required(0));
  const std::string to = runtime.to_text(bound.required(1));
  const bool limited = bound.has(2) && !bound.required(2).is_none();
  const std::size_t occurrences = text.size() / std::max<std::size_t>(from.size(), 1) + 1;
  if (to.size() > Runtime::kMaxBytes / occurrences) runtime.unsupported("a text so long");
  return runtime.text(replace(text, from, to, limited ? bound.integer(2, -1) : -1));
}

// Runs of what Python's \w takes.
Value wordcount(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "wordcount", arguments, {});
  std::int64_t count = 0;
  bool in_word = false;
  for (const char32_t c : code_points(runtime.to_text(value))) {
    const bool is_word = is_letter(c) || is_numeric(c) || c == '_';
    if (is_word && !in_word) ++count;
    in_word = is_word;
  }
  return count;
}

// An odd space goes to the left where the width is odd, as in str.center.
Value center(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "center", arguments, {"width"});
  const Value text = runtime.text(runtime.to_text(value));
  const std::int64_t width = bound.integer(0, 80);
  const std::int64_t spaces = width - static_cast<std::int64_t>(runtime.length(text));
  if (spaces > 10'000) runtime.unsupported("a width so large");
  if (spaces <= 0) return text;
  const auto left = static_cast<std::size_t>(spaces / 2 + (spaces & width & 1));
  const auto right = static_cast<std::size_t>(spaces) - left;
  return runtime.text(std::string(left, ' ') + text.text() + std::string(right, ' '));
}

Value string_filter(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "string", arguments, {});
  return runtime.text(runtime.to_text(value));
}

// The width is a number of spaces or the string itself; the first line is left alone.
Value indent(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "indent", arguments, {"width", "first", "blank"});
  std::string prefix(4, ' ');
  if (bound.has(0) && bound.required(0).is_text()) {
    prefix = bound.text(0);
  } else {
    const std::int64_t width = bound.integer(0, 4);
    if (width > 10'000) runtime.unsupported("a width so large");
    prefix.assign(static_cast<std::size_t>(std::max<std::int64_t>(width, 0)), ' ');
  }
  const bool blank = bound.truth(2, false);
  if (!value.is_text()) runtime.fail(concat("indent of a ", value.type_name()));
  const std::string text = value.text() + "\n";
  const std::vector<std::string_view> lines = split_lines(text, false);
  if (prefix.size() > Runtime::kMaxBytes / (lines.size() + 1))
    runtime.unsupported("a text so long");
  std::string result = bound.truth(1, false) ? prefix : "";
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) result += '\n';
    if (i > 0 && (blank || !lines[i].empty())) result += prefix;
    result += lines[i];
  }
  return runtime.text(std::move(result));
}

}  // namespace

const FilterTable& text_filters() {
  static const FilterTable table{
      {"trim", trim},
      {"upper", change_case<upper>},
      {"lower", change_case<lower>},
      {"capitalize", change_case<capitalize>},
      {"title", title_filter},
      {"replace", replace_filter},
      {"string", string_filter},
      {"wordcount", wordcount},
      {"center", center},
      {"indent", indent},
      {"tojson", tojson},
  };
  return table;
}

}  // namespace helix::jinja
