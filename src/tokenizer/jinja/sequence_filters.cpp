#include <algorithm>

#include "base/message.h"
#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/operators.h"
#include "tokenizer/jinja/text_case.h"

namespace helix::jinja {
namespace {

Value length(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "length", arguments, {});
  return static_cast<std::int64_t>(runtime.length(value));
}

Value default_filter(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "default", arguments, {"default_value", "boolean"});
  const bool use_default = value.is_undefined() || (bound.truth(1, false) && !value.truth());
  if (!use_default) return value;
  return bound.has(0) ? bound.required(0) : Value::text("");
}

Value list(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "list", arguments, {});
  return runtime.sequence(runtime.iterate(value));
}

Value first(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "first", arguments, {});
  if (value.is_sequence(Sequence::Kind::kIterator)) {
    const Sequence& iterator = value.sequence();
    if (iterator.consumed < iterator.items.size()) return iterator.items[iterator.consumed++];
  } else {
    std::vector<Value> items = runtime.iterate(value);
    if (!items.empty()) return items.front();
  }
  return Undefined{"first item of an empty sequence"};
}

Value last(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "last", arguments, {});
  if (value.is_sequence(Sequence::Kind::kIterator)) runtime.fail("an iterator has no last item");
  std::vector<Value> items = runtime.iterate(value);
  if (items.empty()) return Undefined{"last item of an empty sequence"};
  return items.back();
}

Value reverse(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "reverse", arguments, {});
  std::vector<Value> items = runtime.iterate(value);
  std::reverse(items.begin(), items.end());
  if (!value.is_text()) return runtime.sequence(std::move(items), Sequence::Kind::kIterator);
  std::string text;
  for (const Value& item : items) text += item.text();
  return runtime.text(std::move(text));
}

Value join(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "join", arguments, {"d", "attribute"});
  const std::string separator = bound.has(0) ? runtime.to_text(bound.required(0)) : "";
  std::string result;
  bool is_first = true;
  for (const Value& item : runtime.iterate(value)) {
    if (!is_first) result += separator;
    is_first = false;
    const bool by_attribute = bound.has(1) && !bound.required(1).is_none();
    result += runtime.to_text(by_attribute ? get_path(runtime, item, bound.required(1)) : item);
    if (result.size() > Runtime::kMaxBytes) runtime.unsupported("a text so long");
  }
  return runtime.text(std::move(result));
}

Value items(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "items", arguments, {});
  std::vector<Value> pairs;
  if (!value.is_undefined()) {
    if (!value.is_dict()) runtime.fail("items of no mapping");
    for (const auto& [key, element] : value.dict().entries()) {
      pairs.push_back(runtime.sequence({key, element}, Sequence::Kind::kTuple));
    }
  }
  return runtime.sequence(std::move(pairs), Sequence::Kind::kIterator);
}

struct Keyed {
  Value key;
  Value value;
};

// The key an element is sorted or compared by: of an attribute, strings in small letters.
Value key_of(Runtime& runtime, const Value& value, const Value* attribute, bool case_sensitive) {
  const bool by_attribute = attribute != nullptr && !attribute->is_none();
  if (by_attribute && attribute->is_text() && attribute->text().find(',') != std::string::npos) {
    runtime.unsupported("sorting by several attributes");
  }
  Value key = by_attribute ? get_path(runtime, value, *attribute) : value;
  if (key.is_text() && !case_sensitive) return runtime.text(lower(runtime, key.text()));
  return key;
}

bool key_less(Runtime& runtime, const Value& a, const Value& b) {
  const auto result = runtime.less(a, b);
  if (!result) {
    runtime.fail(
        concat("'<' not supported between '", a.type_name(), "' and '", b.type_name(), "'"));
  }
  return *result;
}

void sort_keyed(Runtime& runtime, std::vector<Keyed>& items, bool descending) {
  std::stable_sort(items.begin(), items.end(), [&](const Keyed& a, const Keyed& b) {
    return descending ? key_less(runtime, b.key, a.key) : key_less(runtime, a.key, b.key);
  });
}

Value values_of(Runtime& runtime, const std::vector<Keyed>& items, Sequence::Kind kind) {
  std::vector<Value> result;
  for (const Keyed& item : items) result.push_back(item.value);
  return runtime.sequence(std::move(result), kind);
}

std::vector<Keyed> keyed(Runtime& runtime, const Value& value, const Value* attribute,
                         bool case_sensitive) {
  std::vector<Keyed> result;
  for (const Value& item : runtime.iterate(value)) {
    result.push_back({key_of(runtime, item, attribute, case_sensitive), item});
  }
  return result;
}

Value sort(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "sort", arguments,
                             {"reverse", "case_sensitive", "attribute"});
  std::vector<Keyed> list = keyed(runtime, value, bound.get(2), bound.truth(1, false));
  sort_keyed(runtime, list, bound.truth(0, false));
  return values_of(runtime, list, Sequence::Kind::kList);
}

Value dictsort(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "dictsort", arguments, {"case_sensitive", "by", "reverse"});
  if (!value.is_dict()) runtime.fail("dictsort of no mapping");
  const std::string by = bound.text(1, "key");
  if (by != "key" && by != "value") runtime.fail("dictsort sorts by \"key\" or \"value\"");
  std::vector<Keyed> list;
  for (const auto& [key, element] : value.dict().entries()) {
    list.push_back({key_of(runtime, by == "key" ? key : element, nullptr, bound.truth(0, false)),
                    runtime.sequence({key, element}, Sequence::Kind::kTuple)});
  }
  sort_keyed(runtime, list, bound.truth(2, false));
  return values_of(runtime, list, Sequence::Kind::kList);
}

Value unique(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "unique", arguments, {"case_sensitive", "attribute"});
  Dict seen;
  std::vector<Keyed> result;
  for (Keyed& item : keyed(runtime, value, bound.get(1), bound.truth(0, false))) {
    if (runtime.find(seen, item.key) != nullptr) continue;
    if (!seen.set(item.key, Value())) runtime.fail("unique: unhashable type");
    result.push_back(std::move(item));
  }
  return values_of(runtime, result, Sequence::Kind::kIterator);
}

template <bool kMax>
Value extreme(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  const BoundArguments bound(runtime, kMax ? "max" : "min", arguments,
                             {"case_sensitive", "attribute"});
  const std::vector<Keyed> list = keyed(runtime, value, bound.get(1), bound.truth(0, false));
  if (list.empty()) return Undefined{"extreme of an empty sequence"};
  const Keyed* best = &list[0];
  for (const Keyed& item : list) {
    if (kMax ? key_less(runtime, best->key, item.key) : key_less(runtime, item.key, best->key)) {
      best = &item;
    }
  }
  return best->value;
}

Value sum(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "sum", arguments, {"attribute", "start"});
  if (bound.has(1) && bound.required(1).is_text()) runtime.fail("sum() can't sum strings");
  Value total = bound.has(1) ? bound.required(1) : Value(std::int64_t{0});
  for (const Value& item : runtime.iterate(value)) {
    const bool by_attribute = bound.has(0) && !bound.required(0).is_none();
    total = binary(runtime, "+", total,
                   by_attribute ? get_path(runtime, item, bound.required(0)) : item);
  }
  return total;
}

}  // namespace

const FilterTable& sequence_filters() {
  static const FilterTable table{
      {"length", length},    {"count", length},       {"default", default_filter},
      {"d", default_filter}, {"list", list},          {"first", first},
      {"last", last},        {"reverse", reverse},    {"join", join},
      {"items", items},      {"sort", sort},          {"dictsort", dictsort},
      {"unique", unique},    {"min", extreme<false>}, {"max", extreme<true>},
      {"sum", sum},
  };
  return table;
}

}  // namespace helix::jinja
