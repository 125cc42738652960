#pragma once

#include <vector>

#include "tokenizer/component.h"

namespace helix {

// The special tokens that go around one text ("<s>" before, "</s>" behind).
struct SpecialTokenFrame {
  std::vector<TokenId> before;
  std::vector<TokenId> behind;
};

// The "post_processor" of tokenizer.json, for a single text; empty for JSON null. Throws
// Error(kUnsupported) for a type that is not known or a template that is no frame.
SpecialTokenFrame read_post_processor(const SortedJson& json, const std::string& where);

}  // namespace helix
