#pragma once

#include <string>
#include <string_view>

#include "tokenizer/jinja/value.h"

namespace helix::jinja {

// Variables of a loop's turn, a macro's call or a block; what is not here is looked for outside.
class Scope {
 public:
  explicit Scope(const Scope* outer) : outer_(outer) {}
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  const Value* find(std::string_view name) const {
    for (const Scope* scope = this; scope != nullptr; scope = scope->outer_) {
      const auto entry = scope->variables_.find(name);
      if (entry != scope->variables_.end()) return &entry->second;
    }
    return nullptr;
  }
  void set(const std::string& name, Value value) { variables_[name] = std::move(value); }

 private:
  const Scope* outer_;
  StringMap<Value> variables_;
};

}  // namespace helix::jinja
