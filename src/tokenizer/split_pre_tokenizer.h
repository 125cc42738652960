#pragma once

#include <functional>
#include <string_view>

#include "tokenizer/pre_tokenizer.h"

namespace helix {

// What happens to the delimiters that a split finds, in the words of tokenizer.json.
enum class SplitBehavior {
  kRemoved,
  kIsolated,
  kContiguous,  // as isolated, neighbours in one piece
  kMergedWithPrevious,
  kMergedWithNext,
};

// Calls its argument with (begin, end) of every delimiter, in order; it may be empty.
using FindDelimiters = std::function<void(std::string_view text,
                                          const std::function<void(std::size_t, std::size_t)>&)>;

// `invert`: what lies between the delimiters is the delimiter.
std::unique_ptr<PreTokenizer> make_split(FindDelimiters find, SplitBehavior behavior, bool invert);

// Every single character for which `is_delimiter` holds is a delimiter.
std::unique_ptr<PreTokenizer> make_character_split(std::function<bool(char32_t)> is_delimiter,
                                                   SplitBehavior behavior);

}  // namespace helix
