#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/json.h"
#include "tokenizer/vocabulary.h"

namespace helix::jinja {

class Value;
class Dict;
struct Callable;
struct Namespace;

struct Undefined {
  std::string name;  // what was looked for
};
struct None {};
// What the filter "safe" gives: text that most operations treat apart from other text.
struct Markup {
  std::shared_ptr<const std::string> text;
};

// A Python sequence. Iterators (of filters) are used up as they are read; views are what
// dict.items() gives, and have no subscripts.
struct Sequence {
  enum class Kind { kList, kTuple, kRange, kView, kIterator };
  Kind kind = Kind::kList;
  std::vector<Value> items;
  mutable std::size_t consumed = 0;  // of an iterator
  int depth = 1;                     // of nesting; bounds every recursion over values
  std::uint64_t weight = 1;          // as Value::weight
  bool is_hashable = true;           // all its items are
  void append(Value item);
};

// A Python value. Strings and containers are shared and never change (the sandbox forbids it), so
// copies are cheap; only a namespace has state.
class Value {
 public:
  using Text = std::shared_ptr<const std::string>;
  using List = std::shared_ptr<const Sequence>;
  using Mapping = std::shared_ptr<const Dict>;
  using Function = std::shared_ptr<Callable>;
  using State = std::shared_ptr<Namespace>;

  Value() : data_(None{}) {}
  Value(bool value) : data_(value) {}                  // NOLINT(google-explicit-constructor)
  Value(std::int64_t value) : data_(value) {}          // NOLINT(google-explicit-constructor)
  Value(double value) : data_(value) {}                // NOLINT(google-explicit-constructor)
  Value(Undefined value) : data_(std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Value(List value) : data_(std::move(value)) {}       // NOLINT(google-explicit-constructor)
  Value(Mapping value) : data_(std::move(value)) {}    // NOLINT(google-explicit-constructor)
  Value(Function value) : data_(std::move(value)) {}   // NOLINT(google-explicit-constructor)
  Value(State value) : data_(std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Value(const char*) = delete;
  explicit Value(Markup value) : data_(std::move(value)) {}
  // Without counting its bytes: for names and constants. Runtime::text is for what grows.
  static Value text(std::string text) {
    Value value;
    value.data_ = std::make_shared<const std::string>(std::move(text));
    return value;
  }

  bool is_undefined() const { return holds<Undefined>(); }
  bool is_none() const { return holds<None>(); }
  bool is_bool() const { return holds<bool>(); }
  bool is_integer() const { return holds<std::int64_t>(); }
  bool is_float() const { return holds<double>(); }
  bool is_number() const { return is_bool() || is_integer() || is_float(); }
  bool is_text() const { return holds<Text>() || is_markup(); }
  bool is_markup() const { return holds<Markup>(); }
  bool is_sequence() const { return holds<List>(); }
  bool is_sequence(Sequence::Kind kind) const { return is_sequence() && sequence().kind == kind; }
  bool is_dict() const { return holds<Mapping>(); }
  bool is_function() const { return holds<Function>(); }
  bool is_namespace() const { return holds<State>(); }

  const Undefined& undefined() const { return std::get<Undefined>(data_); }
  bool boolean() const { return std::get<bool>(data_); }
  // Of a bool or an integer.
  std::int64_t integer() const {
    return is_bool() ? std::int64_t{boolean()} : std::get<std::int64_t>(data_);
  }
  // Of any number.
  double number() const {
    return is_float() ? std::get<double>(data_) : static_cast<double>(integer());
  }
  const std::string& text() const {
    return is_markup() ? *std::get<Markup>(data_).text : *std::get<Text>(data_);
  }
  const Sequence& sequence() const { return *std::get<List>(data_); }
  const Dict& dict() const { return *std::get<Mapping>(data_); }
  const Function& function() const { return std::get<Function>(data_); }
  const State& state() const { return std::get<State>(data_); }

  bool truth() const;
  // Python's name of the type: "str", "NoneType", ...
  const char* type_name() const;
  int depth() const;
  // What walking over the value costs, shared parts as often as they appear: its elements and the
  // bytes of their text. Stays at kMaxWeight from there on.
  std::uint64_t weight() const;
  static constexpr std::uint64_t kMaxWeight = std::uint64_t{1} << 50;
  // A list, a tuple or a range: takes subscripts.
  bool is_indexable() const {
    return is_sequence() && sequence().kind != Sequence::Kind::kView &&
           sequence().kind != Sequence::Kind::kIterator;
  }
  // Can be looked for among a dict's keys.
  bool is_hashable() const;

 private:
  template <typename T>
  bool holds() const {
    return std::holds_alternative<T>(data_);
  }
  std::variant<Undefined, None, bool, std::int64_t, double, Text, Markup, List, Mapping, Function,
               State>
      data_;
};

// Insertion-ordered, as Python's. Keys are strings, numbers, bools or None.
class Dict {
 public:
  using Entry = std::pair<Value, Value>;
  // Replaces the value of an equal key. False where `key` cannot be one.
  bool set(Value key, Value value);
  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;
  const std::vector<Entry>& entries() const { return entries_; }
  int depth() const { return depth_; }
  std::uint64_t weight() const { return weight_; }

 private:
  std::vector<Entry> entries_;
  StringMap<std::size_t> index_;
  int depth_ = 1;
  std::uint64_t weight_ = 1;
};

struct Namespace {
  bool is_loop = false;  // which nothing assigns to
  StringMap<Value> attributes;
};

// Python's ==.
bool equal(const Value& a, const Value& b);
// Python's <; nothing where the types have no order.
std::optional<bool> less(const Value& a, const Value& b);

// JSON to values; `count` grows by the bytes and elements taken.
Value from_json(const Json& json, std::uint64_t& count);

// str() and repr(); nothing where what Python prints is not known here (functions, iterators).
std::optional<std::string> to_text(const Value& value);
std::optional<std::string> to_repr(const Value& value);
std::string float_repr(double value);

}  // namespace helix::jinja
