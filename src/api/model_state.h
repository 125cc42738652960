#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "helix/error.h"
#include "helix/model.h"
#include "tokenizer/tokenizer.h"

namespace helix {

struct Model::State {
  State(const std::filesystem::path& folder, const ModelOptions& options);

  // Throws what opening it threw where the folder has none that can be used.
  const Tokenizer& tokenizer() const;

  std::filesystem::path folder;
  Precision precision;
  std::string dtype;
  bool compressed = false;
  std::vector<std::int32_t> end_tokens;
  std::optional<Tokenizer> opened_tokenizer;
  std::optional<Error> tokenizer_fault;
  Engine engine;
  Sequence sequence;  // what the last call has read
};

}  // namespace helix
