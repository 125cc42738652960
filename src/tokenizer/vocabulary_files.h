#pragma once

#include <filesystem>
#include <string>

#include "tokenizer/tokenizer_json.h"
#include "tokenizer/tokenizer_settings.h"

namespace helix {

// The tokenizer.json that vocab.json and merges.txt of `folder` stand for, by the rules of the
// settings' class ("" where tokenizer_config.json does not say: GPT-2's). Throws
// Error(kUnsupported) for a class whose rules are not known.
TokenizerJson read_vocabulary_and_merges(const std::filesystem::path& folder,
                                         const TokenizerSettings& settings);

}  // namespace helix
