#include "tokenizer/jinja/methods.h"

#include <algorithm>
#include <span>
#include <string_view>

#include "base/message.h"

namespace helix::jinja {
namespace {

using namespace std::string_view_literals;

// What Python has and is not to be mistaken for a missing element.
constexpr std::string_view kTextAttributes[] = {
    "casefold"sv,  "center"sv,       "encode"sv,      "expandtabs"sv, "format_map"sv,
    "isascii"sv,   "isidentifier"sv, "isprintable"sv, "istitle"sv,    "ljust"sv,
    "maketrans"sv, "partition"sv,    "rindex"sv,      "rjust"sv,      "rpartition"sv,
    "swapcase"sv,  "translate"sv};
constexpr std::string_view kDictAttributes[] = {"clear"sv,   "fromkeys"sv,   "pop"sv,
                                                "popitem"sv, "setdefault"sv, "update"sv};
constexpr std::string_view kListAttributes[] = {"append"sv, "clear"sv,   "copy"sv,
                                                "extend"sv, "insert"sv,  "pop"sv,
                                                "remove"sv, "reverse"sv, "sort"sv};
constexpr std::string_view kNumberAttributes[] = {
    "as_integer_ratio"sv, "bit_count"sv, "bit_length"sv, "conjugate"sv, "denominator"sv,
    "from_bytes"sv,       "fromhex"sv,   "hex"sv,        "imag"sv,      "is_integer"sv,
    "numerator"sv,        "real"sv,      "to_bytes"sv};

void refuse_known(Runtime& runtime, const Value& value, const std::string& name,
                  std::span<const std::string_view> known) {
  if (std::find(known.begin(), known.end(), name) != known.end()) {
    runtime.unsupported(concat("the attribute ", name, " of a ", value.type_name()));
  }
}

Value count_items(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "count", arguments, {"value"}, 1);
  std::int64_t count = 0;
  for (const Value& item : self.sequence().items) {
    if (runtime.equal(item, bound.required(0))) ++count;
  }
  return count;
}

Value index_of_item(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "index", arguments, {"value"}, 1);
  const std::vector<Value>& items = self.sequence().items;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (runtime.equal(items[i], bound.required(0))) return static_cast<std::int64_t>(i);
  }
  runtime.fail("the value is not in the list");
}

bool takes_keywords(const std::string& name) {
  return name == "split" || name == "rsplit" || name == "splitlines" || name == "format";
}

Value bind(const Value& value, const std::string& name, Method method) {
  auto callable = std::make_shared<Callable>();
  callable->name = name;
  callable->call = [value, name, method](Runtime& runtime, const CallArguments& arguments) {
    if (!arguments.keyword.empty() && !takes_keywords(name)) {
      runtime.fail(concat(name, "() takes no keyword arguments"));
    }
    return method(runtime, value, arguments);
  };
  return Value::Function(std::move(callable));
}

Method find_list_method(const std::string& name) {
  if (name == "count") return count_items;
  return name == "index" ? index_of_item : nullptr;
}

}  // namespace

std::optional<Value> find_method(Runtime& runtime, const Value& value, const std::string& name) {
  Method method = nullptr;
  if (value.is_text()) {
    method = find_text_method(name);
    refuse_known(runtime, value, name, kTextAttributes);
  } else if (value.is_dict()) {
    method = find_dict_method(name);
    refuse_known(runtime, value, name, kDictAttributes);
  } else if (value.is_sequence(Sequence::Kind::kList) ||
             value.is_sequence(Sequence::Kind::kTuple)) {
    method = find_list_method(name);
    if (value.is_sequence(Sequence::Kind::kList))
      refuse_known(runtime, value, name, kListAttributes);
  } else if (value.is_sequence()) {
    runtime.unsupported(concat("the attribute ", name, " of an iterator"));
  } else if (value.is_number()) {
    refuse_known(runtime, value, name, kNumberAttributes);
  }
  if (method == nullptr) return std::nullopt;
  return bind(value, name, method);
}

}  // namespace helix::jinja
