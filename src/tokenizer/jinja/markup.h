#pragma once

#include "tokenizer/jinja/runtime.h"

namespace helix::jinja {

// MarkupSafe's escape: `value` as text with entities for what HTML reads; markup as it is.
Value escape(Runtime& runtime, const Value& value);
// left + right where one is markup and the other any text.
Value add_markup(Runtime& runtime, const Value& left, const Value& right);

}  // namespace helix::jinja
