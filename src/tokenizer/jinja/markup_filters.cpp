#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/markup.h"

namespace helix::jinja {
namespace {

const char* entity(char c) {
  switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '\'': return "&#39;";
    case '"': return "&#34;";
    default: return nullptr;
  }
}

Value markup(Runtime& runtime, std::string text) {
  runtime.charge_bytes(text.size());
  return Value(Markup{std::make_shared<const std::string>(std::move(text))});
}

Value safe(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "safe", arguments, {});
  return markup(runtime, runtime.to_text(value));
}

Value escape_filter(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "escape", arguments, {});
  return escape(runtime, value);
}

}  // namespace

bool takes_markup(std::string_view name) {
  return markup_filters().contains(name) || name == "tojson";
}

Value escape(Runtime& runtime, const Value& value) {
  if (value.is_markup()) return value;
  std::string result;
  for (const char c : runtime.to_text(value)) {
    if (const char* escaped = entity(c)) {
      result += escaped;
    } else {
      result += c;
    }
  }
  return markup(runtime, std::move(result));
}

Value add_markup(Runtime& runtime, const Value& left, const Value& right) {
  return markup(runtime, escape(runtime, left).text() + escape(runtime, right).text());
}

const FilterTable& markup_filters() {
  static const FilterTable table{{"safe", safe}, {"escape", escape_filter}, {"e", escape_filter}};
  return table;
}

}  // namespace helix::jinja
