#include <algorithm>
#include <functional>
#include <map>

#include "base/message.h"
#include "tokenizer/jinja/methods.h"
#include "tokenizer/jinja/text_case.h"
#include "tokenizer/jinja/text_operations.h"
#include "tokenizer/unicode.h"
#include "tokenizer/utf8.h"

namespace helix::jinja {
namespace {

Value list_of(Runtime& runtime, const std::vector<std::string_view>& parts) {
  std::vector<Value> items;
  items.reserve(parts.size());
  for (const std::string_view part : parts) items.push_back(runtime.text(std::string(part)));
  return runtime.sequence(std::move(items));
}

template <Side kSide>
Value strip_method(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "strip", arguments, {"chars"});
  if (!bound.has(0) || bound.required(0).is_none()) {
    return runtime.text(std::string(strip(self.text(), kSide)));
  }
  runtime.step(self.text().size() / 8);
  return runtime.text(std::string(strip(self.text(), bound.text(0), kSide)));
}

template <bool kFromRight>
Value split_method(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "split", arguments, {"sep", "maxsplit"});
  const std::int64_t limit = bound.integer(1, -1);
  runtime.step(self.text().size() / 64);
  if (!bound.has(0) || bound.required(0).is_none()) {
    if (kFromRight && limit >= 0) runtime.unsupported("rsplit at whitespace with a limit");
    return list_of(runtime, split(self.text(), limit));
  }
  const std::string& separator = bound.text(0);
  if (separator.empty()) runtime.fail("empty separator");
  return list_of(runtime, kFromRight ? split_from_right(self.text(), separator, limit)
                                     : split(self.text(), separator, limit));
}

Value splitlines_method(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "splitlines", arguments, {"keepends"});
  return list_of(runtime, split_lines(self.text(), bound.truth(0, false)));
}

// The argument of startswith and endswith is a string or a tuple of them.
template <bool kAtStart>
Value affix_method(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  const BoundArguments bound(runtime, kAtStart ? "startswith" : "endswith", arguments, {"affix"},
                             1);
  const auto matches = [&](const std::string& affix) {
    return kAtStart ? self.text().starts_with(affix) : self.text().ends_with(affix);
  };
  if (!bound.required(0).is_sequence(Sequence::Kind::kTuple)) return matches(bound.text(0));
  for (const Value& item : bound.required(0).sequence().items) {
    if (!item.is_text()) runtime.fail("startswith and endswith take strings");
    if (matches(item.text())) return true;
  }
  return false;
}

template <bool kPrefix>
Value remove_affix_method(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "removeprefix", arguments, {"affix"}, 1);
  std::string_view text = self.text();
  const std::string& affix = bound.text(0);
  if (kPrefix && text.starts_with(affix)) text.remove_prefix(affix.size());
  if (!kPrefix && text.ends_with(affix)) text.remove_suffix(affix.size());
  return runtime.text(std::string(text));
}

Value replace_method(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "replace", arguments, {"old", "new", "count"}, 2);
  const std::string& from = bound.text(0);
  const std::string& to = bound.text(1);
  // What could come out, before it is made.
  const std::size_t occurrences = self.text().size() / std::max<std::size_t>(from.size(), 1) + 1;
  if (to.size() > Runtime::kMaxBytes / occurrences) runtime.unsupported("a text so long");
  return runtime.text(replace(self.text(), from, to, bound.integer(2, -1)));
}

template <std::string (*kFunction)(Runtime&, std::string_view)>
Value case_method(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "a case method", arguments, {});
  runtime.step(self.text().size() / 8);
  return runtime.text(kFunction(runtime, self.text()));
}

// Characters before byte `offset`, as Python counts positions.
std::int64_t position_of(std::string_view text, std::size_t offset) {
  return std::count_if(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(offset),
                       [](char c) { return (c & 0xC0) != 0x80; });
}

template <bool kFromRight, bool kMustBeThere>
Value find_text(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "find", arguments, {"sub"}, 1);
  runtime.step(self.text().size() / 64);
  const std::size_t at =
      kFromRight ? self.text().rfind(bound.text(0)) : self.text().find(bound.text(0));
  if (at != std::string::npos) return position_of(self.text(), at);
  if (kMustBeThere) runtime.fail("substring not found");
  return std::int64_t{-1};
}

Value count_method(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "count", arguments, {"sub"}, 1);
  if (bound.text(0).empty()) return position_of(self.text(), self.text().size()) + 1;
  return static_cast<std::int64_t>(split(self.text(), bound.text(0), -1).size()) - 1;
}

Value join_method(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "join", arguments, {"iterable"}, 1);
  std::string result;
  bool first = true;
  for (const Value& item : runtime.iterate(bound.required(0))) {
    if (!item.is_text()) runtime.fail(concat("join: expected str, found ", item.type_name()));
    if (!first) result += self.text();
    first = false;
    result += item.text();
    if (result.size() > Runtime::kMaxBytes) runtime.unsupported("a text so long");
  }
  return runtime.text(std::move(result));
}

Value zfill_method(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "zfill", arguments, {"width"}, 1);
  const std::int64_t missing = bound.integer(0, 0) - position_of(self.text(), self.text().size());
  if (missing > 10'000) runtime.unsupported("a width so large");
  if (missing <= 0) return self;
  const bool sign = self.text().starts_with('-') || self.text().starts_with('+');
  std::string result = self.text();
  result.insert(sign ? 1 : 0, static_cast<std::size_t>(missing), '0');
  return runtime.text(std::move(result));
}

// isdigit and its kind: not empty, and every character passes.
template <bool (*kPredicate)(char32_t)>
Value all_characters(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "an is... method", arguments, {});
  const std::u32string characters = code_points(self.text());
  return !characters.empty() && std::all_of(characters.begin(), characters.end(), kPredicate);
}

bool is_ascii_digit(char32_t c) { return c >= '0' && c <= '9'; }
bool is_letter_character(char32_t c) { return is_letter(c); }
bool is_letter_or_digit(char32_t c) { return is_letter(c) || is_ascii_digit(c); }

// Python's digit, decimal and numeric differ beyond ASCII.
template <bool (*kPredicate)(char32_t)>
Value all_ascii_digits(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  for (const char32_t c : code_points(self.text())) {
    if (c >= 0x80 && is_numeric(c)) runtime.unsupported("a test of digits beyond ASCII");
  }
  return all_characters<kPredicate>(runtime, self, arguments);
}

template <bool (*kHasCase)(std::string_view)>
Value case_test(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "isupper", arguments, {});
  runtime.step(self.text().size() / 8);
  return kHasCase(self.text());
}

const std::map<std::string, Method, std::less<>>& text_methods() {
  static const std::map<std::string, Method, std::less<>> methods{
      {"strip", strip_method<Side::kBoth>},
      {"lstrip", strip_method<Side::kLeft>},
      {"rstrip", strip_method<Side::kRight>},
      {"split", split_method<false>},
      {"rsplit", split_method<true>},
      {"splitlines", splitlines_method},
      {"startswith", affix_method<true>},
      {"endswith", affix_method<false>},
      {"removeprefix", remove_affix_method<true>},
      {"removesuffix", remove_affix_method<false>},
      {"replace", replace_method},
      {"upper", case_method<upper>},
      {"lower", case_method<lower>},
      {"title", case_method<title>},
      {"capitalize", case_method<capitalize>},
      {"find", find_text<false, false>},
      {"rfind", find_text<true, false>},
      {"index", find_text<false, true>},
      {"count", count_method},
      {"join", join_method},
      {"format", format_method},
      {"zfill", zfill_method},
      {"isdigit", all_ascii_digits<is_ascii_digit>},
      {"isdecimal", all_ascii_digits<is_ascii_digit>},
      {"isnumeric", all_ascii_digits<is_ascii_digit>},
      {"isalnum", all_ascii_digits<is_letter_or_digit>},
      {"isalpha", all_characters<is_letter_character>},
      {"isspace", all_characters<is_python_space>},
      {"isupper", case_test<is_upper_text>},
      {"islower", case_test<is_lower_text>},
  };
  return methods;
}

}  // namespace

Method find_text_method(const std::string& name) {
  const auto entry = text_methods().find(name);
  return entry == text_methods().end() ? nullptr : entry->second;
}

}  // namespace helix::jinja
