#include "tokenizer/jinja/value.h"

#include <algorithm>
#include <cmath>
#include <compare>

#include "helix/error.h"
#include "tokenizer/jinja/runtime.h"

namespace helix::jinja {
namespace {

// Equal keys have equal text: 1, 1.0 and True are one key in Python.
std::optional<std::string> key_text(const Value& key) {
  if (key.is_text()) return "s" + key.text();
  if (key.is_none()) return "n";
  if (key.is_bool() || key.is_integer()) return "i" + std::to_string(key.integer());
  if (!key.is_float()) return std::nullopt;
  const double number = key.number();
  if (number == std::floor(number) && std::abs(number) < 0x1p63) {
    return "i" + std::to_string(static_cast<std::int64_t>(number));
  }
  return "f" + float_repr(number);
}

bool equal_dicts(const Dict& a, const Dict& b) {
  if (a.entries().size() != b.entries().size()) return false;
  return std::all_of(a.entries().begin(), a.entries().end(), [&](const Dict::Entry& entry) {
    const Value* other = b.find(entry.first);
    return other != nullptr && equal(entry.second, *other);
  });
}

// The exact values, as Python compares: not every large integer is a double.
std::partial_ordering order(std::int64_t a, double b) {
  if (std::isnan(b)) return std::partial_ordering::unordered;
  if (b >= 0x1p63) return std::partial_ordering::less;
  if (b < -0x1p63) return std::partial_ordering::greater;
  const auto whole = static_cast<std::int64_t>(b);
  if (a != whole) return a <=> whole;
  return 0.0 <=> b - static_cast<double>(whole);
}

std::partial_ordering order(const Value& a, const Value& b) {
  if (a.is_float())
    return b.is_float() ? a.number() <=> b.number() : 0 <=> order(b.integer(), a.number());
  return b.is_float() ? order(a.integer(), b.number()) : a.integer() <=> b.integer();
}

std::uint64_t sum_of_weights(std::uint64_t a, std::uint64_t b) {
  return std::min(a + b, Value::kMaxWeight);
}

std::optional<bool> less_sequences(const Sequence& a, const Sequence& b) {
  const std::size_t shared = std::min(a.items.size(), b.items.size());
  for (std::size_t i = 0; i < shared; ++i) {
    if (!equal(a.items[i], b.items[i])) return less(a.items[i], b.items[i]);
  }
  return a.items.size() < b.items.size();
}

}  // namespace

bool Value::truth() const {
  if (is_undefined() || is_none()) return false;
  if (is_bool()) return boolean();
  if (is_integer()) return integer() != 0;
  if (is_float()) return number() != 0.0;
  if (is_text()) return !text().empty();
  if (is_dict()) return !dict().entries().empty();
  if (is_sequence()) {
    return sequence().kind == Sequence::Kind::kIterator || !sequence().items.empty();
  }
  return true;
}

const char* Value::type_name() const {
  if (is_undefined()) return "Undefined";
  if (is_none()) return "NoneType";
  if (is_bool()) return "bool";
  if (is_integer()) return "int";
  if (is_float()) return "float";
  if (is_text()) return is_markup() ? "Markup" : "str";
  if (is_dict()) return "dict";
  if (is_namespace()) return "Namespace";
  if (is_function()) return "function";
  if (is_sequence(Sequence::Kind::kList)) return "list";
  if (is_sequence(Sequence::Kind::kRange)) return "range";
  return is_sequence(Sequence::Kind::kTuple) ? "tuple" : "iterator";
}

int Value::depth() const {
  if (is_sequence()) return sequence().depth;
  return is_dict() ? dict().depth() : 0;
}

std::uint64_t Value::weight() const {
  if (is_text()) return 1 + text().size();
  if (is_sequence()) return sequence().weight;
  return is_dict() ? dict().weight() : 1;
}

bool Value::is_hashable() const {
  if (is_sequence(Sequence::Kind::kTuple)) return sequence().is_hashable;
  return !is_sequence() && !is_dict();
}

void Sequence::append(Value item) {
  depth = std::max(depth, item.depth() + 1);
  weight = sum_of_weights(weight, item.weight());
  is_hashable = is_hashable && item.is_hashable();
  items.push_back(std::move(item));
}

bool Dict::set(Value key, Value value) {
  auto text = key_text(key);
  if (!text) return false;
  depth_ = std::max(depth_, value.depth() + 1);
  weight_ = sum_of_weights(weight_, key.weight() + value.weight());
  const auto [entry, is_new] = index_.try_emplace(std::move(*text), entries_.size());
  if (is_new) {
    entries_.emplace_back(std::move(key), std::move(value));
  } else {
    entries_[entry->second].second = std::move(value);
  }
  return true;
}

const Value* Dict::find(const Value& key) const {
  const auto text = key_text(key);
  if (!text) return nullptr;
  const auto entry = index_.find(*text);
  return entry == index_.end() ? nullptr : &entries_[entry->second].second;
}

const Value* Dict::find(std::string_view key) const { return find(Value::text(std::string(key))); }

bool equal(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return order(a, b) == 0;
  if (a.is_text() && b.is_text()) return a.text() == b.text();
  if (a.is_dict() && b.is_dict()) return equal_dicts(a.dict(), b.dict());
  if (a.is_sequence() && b.is_sequence() && a.sequence().kind == b.sequence().kind) {
    if (&a.sequence() == &b.sequence()) return true;
    if (a.sequence().kind == Sequence::Kind::kIterator) return false;
    return std::equal(a.sequence().items.begin(), a.sequence().items.end(),
                      b.sequence().items.begin(), b.sequence().items.end(), equal);
  }
  if (a.is_function() && b.is_function()) return a.function() == b.function();
  if (a.is_namespace() && b.is_namespace()) return a.state() == b.state();
  return (a.is_none() && b.is_none()) || (a.is_undefined() && b.is_undefined());
}

std::optional<bool> less(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return order(a, b) < 0;
  if (a.is_text() && b.is_text()) return a.text() < b.text();  // UTF-8 keeps the order
  const bool ordered =
      a.is_sequence(Sequence::Kind::kList) || a.is_sequence(Sequence::Kind::kTuple);
  if (ordered && b.is_sequence(a.sequence().kind))
    return less_sequences(a.sequence(), b.sequence());
  return std::nullopt;
}

Value from_json(const Json& json, std::uint64_t& count) {
  ++count;
  switch (json.type()) {
    case Json::value_t::boolean: return json.get<bool>();
    case Json::value_t::number_integer: return json.get<std::int64_t>();
    case Json::value_t::number_unsigned:
      if (json.get<std::uint64_t>() > INT64_MAX) {
        throw Error(ErrorCode::kUnsupported, "chat template: number " + json.dump());
      }
      return json.get<std::int64_t>();
    case Json::value_t::number_float: return json.get<double>();
    case Json::value_t::string: {
      count += json.get_ref<const std::string&>().size();
      return Value::text(json.get<std::string>());
    }
    case Json::value_t::array: {
      auto list = std::make_shared<Sequence>();
      for (const Json& item : json) {
        list->append(from_json(item, count));
      }
      return Value::List(std::move(list));
    }
    case Json::value_t::object: {
      auto dict = std::make_shared<Dict>();
      for (const auto& [key, item] : json.items()) {
        count += key.size();
        dict->set(Value::text(key), from_json(item, count));
      }
      return Value::Mapping(std::move(dict));
    }
    default: return Value();
  }
}

}  // namespace helix::jinja
