#pragma once

#include <memory>
#include <string>

#include "tokenizer/component.h"
#include "tokenizer/pre_tokenizer.h"

namespace helix {

// SentencePiece's way with spaces: each becomes a visible character (U+2581), and one is put before
// the text.
struct Metaspace {
  enum class Prepend { kAlways, kFirst, kNever };  // kFirst: only where the whole text begins

  std::string replacement;
  Prepend prepend = Prepend::kAlways;
  bool split = true;  // cut before every replacement character

  // Reads the older form ("add_prefix_space") too.
  explicit Metaspace(const Component& component);
};

std::unique_ptr<PreTokenizer> make_metaspace_pre_tokenizer(const Component& component);

}  // namespace helix
