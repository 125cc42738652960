#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "tokenizer/merge_texts.h"
#include "tokenizer/vocabulary.h"

namespace helix {

// JSON with sorted keys: helix::Json looks every key up by walking the object.
using SortedJson = nlohmann::json;

// As helix::parse_json: Error(kCorruptData) naming `file` for malformed JSON, repeated keys,
// nesting deeper than 100.
SortedJson parse_sorted_json(std::string_view text, std::string_view file);

// A tokenizer.json. An object at model.vocab and a list at model.merges are read into tables, as
// trees of JSON values they would take most of the time of loading; `json` has them empty.
struct TokenTables {
  Vocabulary vocabulary;
  MergeTexts merges;
};
struct TokenizerJson {  // NOLINT(bugprone-exception-escape): moving JSON does not throw
  SortedJson json;
  TokenTables tables;
};

// Error(kCorruptData) as parse_sorted_json, and for an id or a merge rule of the wrong form.
TokenizerJson parse_tokenizer_json(std::string_view text, std::string_view file);

// A vocab.json: {"token": id}.
Vocabulary parse_vocabulary_json(std::string_view text, std::string_view file);

}  // namespace helix
