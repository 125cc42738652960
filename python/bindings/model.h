#pragma once

#include <mutex>
#include <string_view>
#include <utility>

#include "helix/model.h"

namespace helix::python {

// A model whose calls from several Python threads come one after the other. The tokenizer's are
// free: it does not change.
struct SharedModel {
  explicit SharedModel(Model opened) : model(std::move(opened)) {}

  Model model;
  std::mutex mutex;
};

// "f32" or "bf16"; throws Error(kInvalidArgument) for another name.
Precision precision_of(std::string_view name);

}  // namespace helix::python
