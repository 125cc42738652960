#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "helix/progress.h"
#include "safetensors/safetensors_file.h"

namespace helix {

// Paths, relative and sorted, of what a model folder holds beside its `weights`, config.json and
// receipts: tokenizer files, generation config, chat template, licence, ..., sub-folders included,
// with the weights of modules that have a config.json of their own there. `*.py` only with
// `copy_code`. Hidden files, other weights, links to folders or to nothing, devices and
// pipes stay behind; what was left out, hidden files aside, is said in one warning. Throws
// Error(kIoError) where a file or folder cannot be read.
std::vector<std::string> list_companion_files(const std::filesystem::path& source,
                                              std::span<const SafetensorsFile> weights,
                                              bool copy_code, const Hooks& hooks);

// Copies what list_companion_files found.
void copy_companion_files(const std::filesystem::path& source,
                          const std::vector<std::string>& names,
                          const std::filesystem::path& destination, const Hooks& hooks);

}  // namespace helix
