#pragma once

#include <string>
#include <string_view>

#include "tokenizer/cancel_check.h"

namespace helix {

// The text cleaning of BERT's original tokenizer.
struct BertNormalization {
  bool clean_text = true;                // drop controls, every whitespace becomes a space
  bool space_chinese_characters = true;  // an ideograph is a word
  bool strip_accents = true;
  bool lowercase = true;
};

std::string normalize_bert(std::string_view text, const BertNormalization& options,
                           CancelCheck& cancel);

}  // namespace helix
