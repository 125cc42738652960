#include <algorithm>
#include <cstdio>

#include "base/message.h"
#include "tokenizer/jinja/filters.h"
#include "tokenizer/utf8.h"

namespace helix::jinja {
namespace {

struct JsonStyle {
  bool ascii = false;
  bool sort_keys = false;
  bool multiline = false;
  std::string indent;
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};

// Python's json.dumps.
class JsonWriter {
 public:
  JsonWriter(Runtime& runtime, JsonStyle style) : runtime_(runtime), style_(std::move(style)) {}

  std::string run(const Value& value) {
    write(value);
    return std::move(result_);
  }

 private:
  void write(const Value& value) {
    runtime_.step();
    if (result_.size() > Runtime::kMaxBytes) runtime_.unsupported("JSON so long");
    if (value.is_text()) {
      write_text(value.text());
    } else if (value.is_dict()) {
      write_dict(value.dict());
    } else if (value.is_sequence(Sequence::Kind::kList) ||
               value.is_sequence(Sequence::Kind::kTuple)) {
      write_list(value.sequence().items);
    } else if (value.is_none() || value.is_number()) {
      result_ += scalar(value);
    } else {
      runtime_.fail(concat("Object of type ", value.type_name(), " is not JSON serializable"));
    }
  }

  static std::string scalar(const Value& value) {
    if (value.is_none()) return "null";
    if (value.is_bool()) return value.boolean() ? "true" : "false";
    if (value.is_integer()) return std::to_string(value.integer());
    const std::string text = float_repr(value.number());
    if (text == "nan") return "NaN";
    if (text == "inf") return "Infinity";
    return text == "-inf" ? "-Infinity" : text;
  }

  void new_line() {
    if (!style_.multiline) return;
    result_ += '\n';
    for (int i = 0; i < level_; ++i) result_ += style_.indent;
  }

  void separate(bool first) {
    if (!first) result_ += style_.item_separator;
    new_line();
  }

  void write_list(const std::vector<Value>& items) {
    result_ += '[';
    ++level_;
    for (std::size_t i = 0; i < items.size(); ++i) {
      separate(i == 0);
      write(items[i]);
    }
    --level_;
    if (!items.empty()) new_line();
    result_ += ']';
  }

  std::vector<const Dict::Entry*> ordered_entries(const Dict& dict) {
    std::vector<const Dict::Entry*> entries;
    for (const Dict::Entry& entry : dict.entries()) entries.push_back(&entry);
    if (!style_.sort_keys) return entries;
    std::stable_sort(entries.begin(), entries.end(), [&](const auto* a, const auto* b) {
      const auto result = runtime_.less(a->first, b->first);
      if (!result) runtime_.fail("keys of different types cannot be sorted");
      return *result;
    });
    return entries;
  }

  void write_dict(const Dict& dict) {
    result_ += '{';
    ++level_;
    bool first = true;
    for (const Dict::Entry* entry : ordered_entries(dict)) {
      separate(first);
      first = false;
      write_text(entry->first.is_text() ? entry->first.text() : scalar(entry->first));
      result_ += style_.key_separator;
      write(entry->second);
    }
    --level_;
    if (!first) new_line();
    result_ += '}';
  }

  void write_unicode_escape(unsigned code) {
    char text[16];
    std::snprintf(text, sizeof text, "\\u%04x", code);
    result_ += text;
  }

  void write_character(char32_t c) {
    static constexpr std::pair<char32_t, const char*> kEscapes[] = {
        {'"', "\\\""}, {'\\', "\\\\"}, {'\n', "\\n"}, {'\r', "\\r"},
        {'\t', "\\t"}, {'\b', "\\b"},  {'\f', "\\f"}};
    for (const auto& [character, escape] : kEscapes) {
      if (c != character) continue;
      result_ += escape;
      return;
    }
    const auto code = static_cast<unsigned>(c);
    if (c < 0x20 || (style_.ascii && c >= 0x7F && c < 0x10000)) {
      write_unicode_escape(code);
    } else if (style_.ascii && c >= 0x10000) {
      write_unicode_escape(0xD800 + ((code - 0x10000) >> 10));
      write_unicode_escape(0xDC00 + ((code - 0x10000) & 0x3FF));
    } else {
      append_code_point(result_, c);
    }
  }

  void write_text(std::string_view text) {
    result_ += '"';
    for (std::size_t offset = 0; offset < text.size();) {
      write_character(next_code_point(text, offset));
    }
    result_ += '"';
  }

  Runtime& runtime_;
  JsonStyle style_;
  std::string result_;
  int level_ = 0;
};

JsonStyle read_style(Runtime& runtime, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "tojson", arguments,
                             {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ascii = bound.truth(0, false);
  style.sort_keys = bound.truth(3, false);
  if (bound.has(1) && !bound.required(1).is_none()) {
    style.multiline = true;
    style.item_separator = ",";
    if (bound.required(1).is_text()) {
      style.indent = bound.text(1);
    } else {
      const std::int64_t width = std::max<std::int64_t>(bound.integer(1, 0), 0);
      if (width > 64) runtime.unsupported("an indent so wide");
      style.indent.assign(static_cast<std::size_t>(width), ' ');
    }
  }
  if (bound.has(2) && !bound.required(2).is_none()) {
    const std::vector<Value> pair = runtime.iterate(bound.required(2));
    if (pair.size() != 2 || !pair[0].is_text() || !pair[1].is_text()) {
      runtime.fail("tojson: separators are two strings");
    }
    style.item_separator = pair[0].text();
    style.key_separator = pair[1].text();
  }
  return style;
}

}  // namespace

Value tojson(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  JsonWriter writer(runtime, read_style(runtime, arguments));
  return runtime.text(writer.run(value));
}

}  // namespace helix::jinja
