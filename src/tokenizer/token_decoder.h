#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tokenizer/component.h"

namespace helix {

// Whether byte tokens that form no character stay bytes (for a caller who puts them together later)
// or become U+FFFD.
enum class InvalidBytes { kKeep, kReplace };

// Turns token strings into text, in steps. May be used from several threads.
class TokenDecoder {
 public:
  virtual ~TokenDecoder() = default;
  // Rewrites `tokens`; in the end they are joined.
  virtual void apply(std::vector<std::string>& tokens, InvalidBytes invalid) const = 0;
};

// Null for JSON null: then tokens are joined by spaces. Throws Error(kUnsupported) for a type that
// is not known, Error(kCorruptData) for wrong members.
std::unique_ptr<TokenDecoder> make_token_decoder(const SortedJson& json, const std::string& where);

}  // namespace helix
