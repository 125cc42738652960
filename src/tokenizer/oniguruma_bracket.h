#pragma once

#include <string>

#include "tokenizer/expression_reader.h"

namespace helix {

// Translates the bracket that begins here, with the brackets within it (a union) and && (an
// intersection), to a PCRE2 expression for one character.
std::string translate_bracket(ExpressionReader& reader);

}  // namespace helix
