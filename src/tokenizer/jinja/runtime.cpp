#include "tokenizer/jinja/runtime.h"

#include <algorithm>

#include "base/message.h"
#include "tokenizer/utf8.h"

namespace helix::jinja {

void Runtime::step(std::uint64_t count) {
  steps_ += count;
  if (steps_ > max_steps_) unsupported(concat("more than ", max_steps_, " steps"));
}

void Runtime::charge_bytes(std::uint64_t bytes) {
  bytes_ += bytes;
  if (bytes_ > max_bytes_) unsupported(concat("more than ", max_bytes_, " bytes of text"));
}

void Runtime::enter() {
  if (depth_ >= kMaxDepth) unsupported(concat("nesting deeper than ", kMaxDepth));
  ++depth_;
}

void Runtime::fail(std::string_view what) const {
  throw_error(ErrorCode::kInvalidArgument, name_, ", line ", line_, ": ", what);
}

void Runtime::unsupported(std::string_view what) const {
  throw_error(ErrorCode::kUnsupported, name_, ", line ", line_, ": ", what, " is not supported");
}

void Runtime::fail_undefined(const Value& value) const {
  fail(concat("'", value.undefined().name, "' is undefined"));
}

Value Runtime::text(std::string text) {
  charge_bytes(text.size());
  return Value::text(std::move(text));
}

Value Runtime::sequence(std::vector<Value> items, Sequence::Kind kind) {
  charge_bytes(items.size() * sizeof(Value));
  auto result = std::make_shared<Sequence>();
  result->kind = kind;
  result->items.reserve(items.size());
  for (Value& item : items) {
    require_data(item);
    result->append(std::move(item));
  }
  if (result->depth > kMaxValueDepth) unsupported("a list nested so deep");
  return Value::List(std::move(result));
}

Value Runtime::dict(std::vector<Dict::Entry> entries) {
  charge_bytes(entries.size() * 4 * sizeof(Value));
  auto result = std::make_shared<Dict>();
  for (Dict::Entry& entry : entries) {
    require_data(entry.second);
    const char* type = entry.first.type_name();
    if (!result->set(std::move(entry.first), std::move(entry.second))) {
      fail(concat("a ", type, " cannot be a key"));
    }
  }
  if (result->depth() > kMaxValueDepth) unsupported("a dict nested so deep");
  return Value::Mapping(std::move(result));
}

void Runtime::require_data(const Value& value) const {
  if (value.is_function() || value.is_namespace() || value.is_markup()) {
    unsupported(concat("a ", value.type_name(), " as an element"));
  }
}

void Runtime::step_for_comparison(const Value& a, const Value& b) {
  const auto depth = static_cast<std::uint64_t>(std::min(a.depth(), b.depth()));
  step(1 + std::min(a.weight(), b.weight()) / 64 * (1 + depth));
}

bool Runtime::equal(const Value& a, const Value& b) {
  step_for_comparison(a, b);
  return helix::jinja::equal(a, b);
}

std::optional<bool> Runtime::less(const Value& a, const Value& b) {
  step_for_comparison(a, b);
  return helix::jinja::less(a, b);
}

const Value* Runtime::find(const Dict& dict, const Value& key) {
  step(key.weight() / 64);
  return dict.find(key);
}

std::string Runtime::to_text(const Value& value) {
  // A container weighs no more than its text, and that is known before the text is made.
  if (!value.is_text()) charge_bytes(value.weight());
  auto text = helix::jinja::to_text(value);
  if (!text) unsupported(concat("the text of a ", value.type_name()));
  charge_bytes(text->size());
  return std::move(*text);
}

std::vector<Value> Runtime::iterate(const Value& value) {
  if (value.is_markup()) unsupported("iteration over a Markup");
  std::vector<Value> result;
  if (value.is_sequence()) {
    const Sequence& sequence = value.sequence();
    const bool iterator = sequence.kind == Sequence::Kind::kIterator;
    const auto begin =
        sequence.items.begin() + (iterator ? static_cast<std::ptrdiff_t>(sequence.consumed) : 0);
    result.assign(begin, sequence.items.end());
    if (iterator) sequence.consumed = sequence.items.size();
  } else if (value.is_dict()) {
    for (const auto& entry : value.dict().entries()) result.push_back(entry.first);
  } else if (value.is_text()) {
    const std::string& text = value.text();
    charge_bytes(text.size() * sizeof(Value));
    for (std::size_t offset = 0; offset < text.size();) {
      const std::size_t begin = offset;
      next_code_point(text, offset);
      result.push_back(Value::text(text.substr(begin, offset - begin)));
    }
  } else if (!value.is_undefined()) {
    fail(concat("'", value.type_name(), "' object is not iterable"));
  }
  charge_bytes(result.size() * sizeof(Value));
  step(result.size() / 8);
  return result;
}

std::size_t Runtime::length(const Value& value) {
  if (value.is_undefined()) return 0;
  if (value.is_text()) {
    return static_cast<std::size_t>(std::count_if(value.text().begin(), value.text().end(),
                                                  [](char c) { return (c & 0xC0) != 0x80; }));
  }
  if (value.is_dict()) return value.dict().entries().size();
  if (value.is_sequence() && value.sequence().kind != Sequence::Kind::kIterator) {
    return value.sequence().items.size();
  }
  fail(concat("object of type '", value.type_name(), "' has no len()"));
}

BoundArguments::BoundArguments(Runtime& runtime, std::string_view function,
                               const CallArguments& arguments, std::vector<std::string_view> names,
                               std::size_t required)
    : runtime_(runtime), function_(function), values_(names.size(), nullptr) {
  if (arguments.positional.size() > names.size()) {
    runtime.unsupported(concat(function, " with ", arguments.positional.size(), " arguments"));
  }
  for (std::size_t i = 0; i < arguments.positional.size(); ++i) {
    values_[i] = &arguments.positional[i];
  }
  for (const auto& [name, value] : arguments.keyword) {
    const auto found = std::find(names.begin(), names.end(), name);
    const auto index = static_cast<std::size_t>(found - names.begin());
    if (found == names.end()) runtime.unsupported(concat(function, " with argument ", name));
    if (values_[index] != nullptr) runtime.fail(concat(function, ": ", name, " given twice"));
    values_[index] = &value;
  }
  for (std::size_t i = 0; i < required; ++i) {
    if (values_[i] == nullptr) runtime.fail(concat(function, " needs argument ", names[i]));
  }
}

std::int64_t BoundArguments::integer(std::size_t index, std::int64_t fallback) const {
  if (!has(index)) return fallback;
  const Value& value = *values_[index];
  if (!value.is_integer() && !value.is_bool()) {
    runtime_.fail(concat(function_, ": '", value.type_name(), "' is no integer"));
  }
  return value.integer();
}

bool BoundArguments::truth(std::size_t index, bool fallback) const {
  return has(index) ? values_[index]->truth() : fallback;
}

const std::string& BoundArguments::text(std::size_t index) const {
  const Value& value = *values_[index];
  if (!value.is_text()) {
    runtime_.fail(concat(function_, ": '", value.type_name(), "' is no string"));
  }
  return value.text();
}

std::string BoundArguments::text(std::size_t index, std::string_view fallback) const {
  return has(index) ? text(index) : std::string(fallback);
}

}  // namespace helix::jinja
