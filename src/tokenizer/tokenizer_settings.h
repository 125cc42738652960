#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tokenizer/added_tokens.h"

namespace helix {

// What stands beside the tokenizer proper: tokenizer_config.json, added_tokens.json,
// special_tokens_map.json and chat_template.jinja. Any of them may be missing.
struct TokenizerSettings {
  std::string tokenizer_class;
  std::vector<AddedToken> added_tokens;               // by rising ids
  bool config_adds_tokens = false;                    // `added_tokens` are the config's
  std::map<std::string, AddedToken> special_tokens;   // by role, "bos_token"; ids not known
  std::vector<AddedToken> more_special_tokens;        // those without a role
  std::map<std::string, std::string> chat_templates;  // name -> source; the usual one is "default"
  std::string chat_template_file;                     // for error messages
  bool add_prefix_space = false;
  bool legacy = false;
  std::optional<bool> add_bos;
  std::optional<bool> add_eos;

  // With a role and without.
  std::vector<AddedToken> all_special_tokens() const;
  bool has_role(std::string_view content) const;

  // Throws Error(kCorruptData) naming the file.
  static TokenizerSettings read(const std::filesystem::path& folder);
};

}  // namespace helix
