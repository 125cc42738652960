#pragma once

#include <filesystem>
#include <string>

#include "tokenizer/tokenizer_json.h"

namespace helix {

// The tokenizer.json that vocab.json and merges.txt of `folder` stand for, by the rules of
// `tokenizer_class` ("" where tokenizer_config.json does not say: GPT-2's). Throws
// Error(kUnsupported) for a class whose rules are not known.
TokenizerJson read_vocabulary_and_merges(const std::filesystem::path& folder,
                                         const std::string& tokenizer_class, bool add_prefix_space);

}  // namespace helix
