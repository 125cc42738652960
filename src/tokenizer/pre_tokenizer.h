#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "tokenizer/cancel_check.h"
#include "tokenizer/tokenizer_json.h"

namespace helix {

// Cuts normalized text into the pieces that the model encodes one by one. May be used from several
// threads.
class PreTokenizer {
 public:
  // `at_start`: the piece begins where the whole text begins. The view lives for the call only.
  using Sink = std::function<void(std::string_view piece, bool at_start)>;

  virtual ~PreTokenizer() = default;
  // Hands the pieces of `text` to `sink` in order; none is empty.
  virtual void split(std::string_view text, bool at_start, const Sink& sink,
                     CancelCheck& cancel) const = 0;
};

// Null for JSON null. Throws Error(kUnsupported) for a type that is not known, Error(kCorruptData)
// for wrong members.
std::unique_ptr<PreTokenizer> make_pre_tokenizer(const SortedJson& json, const std::string& where);

}  // namespace helix
