#pragma once

#include <string>
#include <string_view>

namespace helix {

// Looks through the tables by which a tokenizer.model replaces characters. The SentencePiece
// library follows them without a look at their size; behind this check it stays inside. Throws
// Error(kCorruptData) naming `file` for bytes that are no protocol buffer, and for tables that lead
// outside.
void check_character_maps(std::string_view model, const std::string& file);

}  // namespace helix
