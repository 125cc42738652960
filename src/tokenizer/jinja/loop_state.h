#pragma once

#include <memory>
#include <vector>

#include "tokenizer/jinja/runtime.h"

namespace helix::jinja {

// The variable `loop` of a turn: index, first, last, previtem, ... as a namespace that nothing can
// assign to.
class LoopState {
 public:
  LoopState(const std::vector<Value>& items, std::size_t depth) : items_(items), depth_(depth) {}
  // The loop variable at turn `index`.
  Value at(std::size_t index);

 private:
  const std::vector<Value>& items_;
  std::size_t depth_;
  std::shared_ptr<Value> changed_ = std::make_shared<Value>();
};

}  // namespace helix::jinja
