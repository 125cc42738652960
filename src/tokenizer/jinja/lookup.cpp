#include <algorithm>

#include "base/message.h"
#include "tokenizer/jinja/methods.h"
#include "tokenizer/jinja/operators.h"
#include "tokenizer/utf8.h"

namespace helix::jinja {
namespace {

// Python's own attributes are out of a template's reach.
void require_public(Runtime& runtime, const std::string& name) {
  if (name.starts_with("__")) runtime.unsupported(concat("the attribute ", name));
}

std::string description(const Value& value, const std::string& key) {
  return concat(value.type_name(), " object has no element '", key, "'");
}

// Python's index of a sequence of `size`; nothing outside of it.
std::optional<std::size_t> wrap_index(std::int64_t index, std::size_t size) {
  const auto count = static_cast<std::int64_t>(size);
  if (index < -count || index >= count) return std::nullopt;
  return static_cast<std::size_t>(index < 0 ? index + count : index);
}

Value text_at(Runtime& runtime, const std::string& text, std::int64_t index) {
  runtime.step(text.size() / 64);
  const bool ascii = std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
  if (ascii) {
    const auto at = wrap_index(index, text.size());
    return at ? Value::text(text.substr(*at, 1)) : Value(Undefined{"index of a string"});
  }
  const std::u32string characters = code_points(text);
  const auto at = wrap_index(index, characters.size());
  if (!at) return Undefined{"index of a string"};
  std::string result;
  append_code_point(result, characters[*at]);
  return Value::text(std::move(result));
}

// The positions that [start:stop:step] picks of `size` elements.
std::vector<std::size_t> slice_positions(Runtime& runtime, std::size_t size, const Value& start,
                                         const Value& stop, const Value& step) {
  const auto number = [&](const Value& value, std::int64_t fallback) {
    if (value.is_none()) return fallback;
    if (value.is_undefined()) runtime.fail_undefined(value);
    if (!value.is_integer() && !value.is_bool()) runtime.fail("slice indices must be integers");
    return value.integer();
  };
  const auto count = static_cast<std::int64_t>(size);
  const std::int64_t stride = number(step, 1);
  if (stride == 0) runtime.fail("slice step cannot be zero");
  const bool forward = stride > 0;
  const auto clamp = [&](std::int64_t index) {
    if (index < 0) index = index < -count ? -1 : index + count;
    if (forward) return std::clamp<std::int64_t>(index, 0, count);
    return std::clamp<std::int64_t>(index, -1, count - 1);
  };
  const std::int64_t first = start.is_none() ? (forward ? 0 : count - 1) : clamp(number(start, 0));
  const std::int64_t last = stop.is_none() ? (forward ? count : -1) : clamp(number(stop, 0));
  std::vector<std::size_t> positions;
  for (std::int64_t i = first; forward ? i < last : i > last;) {
    positions.push_back(static_cast<std::size_t>(i));
    if (__builtin_add_overflow(i, stride, &i)) break;
  }
  runtime.step(positions.size() / 8);
  return positions;
}

bool has_only_digits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

Value get_attribute(Runtime& runtime, const Value& value, const std::string& name) {
  if (value.is_undefined()) runtime.fail_undefined(value);
  require_public(runtime, name);
  if (value.is_namespace()) {
    const auto entry = value.state()->attributes.find(name);
    if (entry != value.state()->attributes.end()) return entry->second;
    return Undefined{description(value, name)};
  }
  if (auto method = find_method(runtime, value, name)) return *method;
  if (value.is_dict()) {
    if (const Value* found = value.dict().find(name)) return *found;
  }
  if (value.is_function()) runtime.unsupported(concat("the attribute ", name, " of a function"));
  return Undefined{description(value, name)};
}

Value get_item(Runtime& runtime, const Value& value, const Value& key) {
  if (value.is_undefined()) runtime.fail_undefined(value);
  if (key.is_integer() || key.is_bool()) {
    if (value.is_indexable()) {
      const auto at = wrap_index(key.integer(), value.sequence().items.size());
      if (at) return value.sequence().items[*at];
      return Undefined{"index of a list"};
    }
    if (value.is_text()) return text_at(runtime, value.text(), key.integer());
  }
  if (value.is_dict()) {
    if (const Value* found = runtime.find(value.dict(), key)) return *found;
  }
  if (!key.is_text()) return Undefined{"subscript of a " + std::string(value.type_name())};
  if (value.is_namespace()) return get_attribute(runtime, value, key.text());
  require_public(runtime, key.text());
  if (auto method = find_method(runtime, value, key.text())) return *method;
  if (value.is_function()) runtime.unsupported("a subscript of a function");
  return Undefined{description(value, key.text())};
}

Value get_slice(Runtime& runtime, const Value& value, const Value& start, const Value& stop,
                const Value& step) {
  if (value.is_undefined()) runtime.fail_undefined(value);
  if (value.is_text()) {
    const std::u32string characters = code_points(value.text());
    runtime.charge_bytes(characters.size() * 4);
    std::string result;
    for (const std::size_t i : slice_positions(runtime, characters.size(), start, stop, step)) {
      append_code_point(result, characters[i]);
    }
    return runtime.text(std::move(result));
  }
  if (!value.is_indexable()) {
    runtime.fail(concat("'", value.type_name(), "' object is not subscriptable"));
  }
  const std::vector<Value>& items = value.sequence().items;
  std::vector<Value> result;
  for (const std::size_t i : slice_positions(runtime, items.size(), start, stop, step)) {
    result.push_back(items[i]);
  }
  return runtime.sequence(std::move(result), value.sequence().kind);
}

Value get_path(Runtime& runtime, Value value, const Value& path) {
  if (path.is_integer()) return get_item(runtime, value, path);
  if (!path.is_text()) runtime.unsupported("an attribute that is no string");
  std::string_view rest = path.text();
  for (;;) {
    const std::size_t dot = std::min(rest.find('.'), rest.size());
    const std::string part(rest.substr(0, dot));
    // environment.getitem: the element comes before the method.
    const Value key = has_only_digits(part) && part.size() < 10
                          ? Value(std::int64_t{std::stoi(part)})
                          : Value::text(part);
    value = get_item(runtime, value, key);
    if (dot == rest.size()) return value;
    rest.remove_prefix(dot + 1);
  }
}

}  // namespace helix::jinja
