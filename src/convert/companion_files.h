#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "helix/progress.h"

namespace helix {

// Copies what a model folder holds beside weights, config.json and receipts: tokenizer files,
// generation config, chat template, licence, ..., sub-folders included, with the
// weights of modules that have a config.json of their own there. `*.py` only with `copy_code`.
// Hidden files, other weight formats and links to folders stay behind; what was left out is said in
// one warning. Returns the copied paths, relative, sorted.
std::vector<std::string> copy_companion_files(const std::filesystem::path& source,
                                              const std::filesystem::path& destination,
                                              bool copy_code, const Hooks& hooks);

}  // namespace helix
