#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/jinja/value.h"

namespace helix::jinja {

// What a rendering may use up, and where it stands. A template comes with a model and is not
// trusted: whatever it does ends after so many steps and bytes.
class Runtime {
 public:
  explicit Runtime(std::string name) : name_(std::move(name)) {}

  static constexpr std::uint64_t kMaxSteps = 5'000'000;                 // taken, beyond the input
  static constexpr std::uint64_t kMaxBytes = std::uint64_t{128} << 20;  // made, beyond the input
  static constexpr int kMaxDepth = 400;       // of expressions, loops and macros within each other
  static constexpr int kMaxValueDepth = 200;  // of lists within lists

  void set_line(int line) { line_ = line; }
  // What a long conversation needs is no template's excess.
  void allow_input(std::uint64_t bytes) {
    max_steps_ = kMaxSteps + 64 * bytes;
    max_bytes_ = kMaxBytes + 64 * bytes;
  }

  void step(std::uint64_t count = 1);
  void charge_bytes(std::uint64_t bytes);

  // Error(kInvalidArgument): what Python would refuse, too.
  [[noreturn]] void fail(std::string_view what) const;
  // Error(kUnsupported): beyond this interpreter.
  [[noreturn]] void unsupported(std::string_view what) const;
  [[noreturn]] void fail_undefined(const Value& value) const;

  // Counted constructors.
  Value text(std::string text);
  Value sequence(std::vector<Value> items, Sequence::Kind kind = Sequence::Kind::kList);
  Value dict(std::vector<Dict::Entry> entries);

  // str(value); fails where that is not known.
  std::string to_text(const Value& value);
  // The elements that iterating gives: of a list, a string's characters, a dict's keys. Uses up
  // iterators.
  std::vector<Value> iterate(const Value& value);
  std::size_t length(const Value& value);
  // Python's ==, <, and a dict's element, whose cost counts as steps before it arises.
  bool equal(const Value& a, const Value& b);
  std::optional<bool> less(const Value& a, const Value& b);
  const Value* find(const Dict& dict, const Value& key);
  // A value that may stand in a container or a namespace: data, no functions.
  void require_data(const Value& value) const;

  // One level deeper; throws where that is too deep.
  class Depth {
   public:
    explicit Depth(Runtime& runtime) : runtime_(runtime) { runtime.enter(); }
    ~Depth() { --runtime_.depth_; }
    Depth(const Depth&) = delete;
    Depth& operator=(const Depth&) = delete;

   private:
    Runtime& runtime_;
  };

 private:
  void enter();
  void step_for_comparison(const Value& a, const Value& b);

  std::string name_;
  int line_ = 1;
  int depth_ = 0;
  std::uint64_t steps_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t max_steps_ = kMaxSteps;
  std::uint64_t max_bytes_ = kMaxBytes;
};

struct CallArguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> keyword;
};

// Something that can be called: a macro, a function, a method bound to its value.
struct Callable {
  std::string name;
  std::function<Value(Runtime&, const CallArguments&)> call;
};

// The arguments of a built-in by their Python names; what is left out is null. Fails for a name
// that is not known, for too many and for one given twice.
class BoundArguments {
 public:
  BoundArguments(Runtime& runtime, std::string_view function, const CallArguments& arguments,
                 std::vector<std::string_view> names, std::size_t required = 0);

  const Value* get(std::size_t index) const { return values_[index]; }
  bool has(std::size_t index) const { return values_[index] != nullptr; }
  const Value& required(std::size_t index) const { return *values_[index]; }
  std::int64_t integer(std::size_t index, std::int64_t fallback) const;
  bool truth(std::size_t index, bool fallback) const;
  // A string.
  const std::string& text(std::size_t index) const;
  std::string text(std::size_t index, std::string_view fallback) const;

 private:
  Runtime& runtime_;
  std::string function_;
  std::vector<const Value*> values_;
};

}  // namespace helix::jinja
