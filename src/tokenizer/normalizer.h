#pragma once

#include <memory>
#include <string>

#include "tokenizer/cancel_check.h"
#include "tokenizer/component.h"
#include "tokenizer/pattern.h"

namespace helix {

// Rewrites text before it is cut into pieces. Valid UTF-8 in, valid UTF-8 out; may be used from
// several threads.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual std::string apply(std::string text, CancelCheck& cancel) const = 0;
};

// Null for JSON null. Throws Error(kUnsupported) for a type that is not known, Error(kCorruptData)
// for wrong members.
std::unique_ptr<Normalizer> make_normalizer(const SortedJson& json, const std::string& where);

// {"String": s} or {"Regex": r}, as normalizers, pre-tokenizers and decoders hold it.
Pattern make_pattern(const Component& component);

}  // namespace helix
