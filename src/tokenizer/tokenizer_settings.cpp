#include "tokenizer/tokenizer_settings.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/file.h"
#include "base/message.h"
#include "tokenizer/utf8.h"

namespace helix {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 7> kRoles{"bos_token", "eos_token", "unk_token", "sep_token",
                                            "pad_token", "cls_token", "mask_token"};

std::optional<SortedJson> read_optional_json(const fs::path& path) {
  if (!fs::exists(path)) return std::nullopt;
  return parse_sorted_json(read_file(path), path.string());
}

// A string or an object with "content". The id is not known yet.
AddedToken read_token(const SortedJson& json, const std::string& where) {
  if (!json.is_string()) return AddedToken::read(Component(json, where), -1);
  AddedToken token;
  token.content = json.get<std::string>();
  token.special = true;
  return token;
}

void add_role(const std::string& role, AddedToken token, TokenizerSettings& settings) {
  token.special = true;
  settings.special_tokens[role] = std::move(token);
}

// Beside the usual roles, whatever ends in "_token" is one.
void read_roles(const Component& file, TokenizerSettings& settings) {
  for (const auto& [role, value] : file.json().items()) {
    const bool usual = std::ranges::find(kRoles, role) != kRoles.end();
    const bool other = role.ends_with("_token") &&
                       (value.is_string() || (value.is_object() && value.contains("content")));
    if (value.is_null() || !(usual || other)) continue;
    add_role(role, read_token(value, concat(file.where(), ".", role)), settings);
  }
}

// Lists of tokens, or objects of roles and tokens.
void read_more_special_tokens(const Component& file, TokenizerSettings& settings) {
  for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
    if (!file.has(key)) continue;
    const SortedJson& tokens = file.json()[key];
    for (const auto& [role, value] : tokens.items()) {
      AddedToken token = read_token(value, concat(file.where(), ".", key));
      if (tokens.is_object()) {
        add_role(role, std::move(token), settings);
      } else {
        settings.more_special_tokens.push_back(std::move(token));
      }
    }
  }
}

void read_special_tokens(const Component& file, TokenizerSettings& settings) {
  read_roles(file, settings);
  read_more_special_tokens(file, settings);
}

// {"151643": {"content": "<|endoftext|>", ...}}
void read_added_tokens_decoder(const Component& file, TokenizerSettings& settings) {
  if (!file.has("added_tokens_decoder")) return;
  settings.config_adds_tokens = true;
  const Component tokens = file.member("added_tokens_decoder");
  for (const auto& [key, value] : tokens.json().items()) {
    TokenId id = -1;
    const auto [end, fault] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (fault != std::errc() || end != key.data() + key.size() || id < 0 || id >= (1 << 24)) {
      tokens.corrupt("token id \"" + key + "\"");
    }
    settings.added_tokens.push_back(AddedToken::read(Component(value, tokens.where()), id));
  }
}

// A string, or a list of {"name", "template"}.
void read_chat_templates(const Component& file, TokenizerSettings& settings) {
  if (!file.has("chat_template")) return;
  settings.chat_template_file = file.where();
  if (!file.json().find("chat_template")->is_array()) {
    settings.chat_templates["default"] = file.text("chat_template");
    return;
  }
  for (const Component& entry : file.list("chat_template")) {
    settings.chat_templates[entry.text("name")] = entry.text("template");
  }
}

std::optional<bool> optional_flag(const Component& file, const char* key) {
  if (!file.has(key)) return std::nullopt;
  return file.flag(key, false);
}

void read_config(const Component& file, TokenizerSettings& settings) {
  settings.tokenizer_class = file.text("tokenizer_class", "");
  settings.add_prefix_space = file.flag("add_prefix_space", false);
  settings.legacy = file.flag("legacy", false);
  settings.add_bos = optional_flag(file, "add_bos_token");
  settings.add_eos = optional_flag(file, "add_eos_token");
  read_special_tokens(file, settings);
  read_added_tokens_decoder(file, settings);
  read_chat_templates(file, settings);
}

// {"<|im_end|>": 151645}
void read_added_tokens(const Component& file, TokenizerSettings& settings) {
  const std::vector<AddedToken> special = settings.all_special_tokens();
  for (const auto& [content, id] : file.json().items()) {
    if (!id.is_number_integer() || id < 0 || id >= (1 << 24)) {
      file.corrupt("id of token \"" + content + "\"");
    }
    AddedToken token;
    token.content = content;
    token.id = id.get<TokenId>();
    token.special = std::ranges::find(special, content, &AddedToken::content) != special.end();
    token.normalized = !token.special;
    settings.added_tokens.push_back(std::move(token));
  }
}

// What folders without added_tokens_decoder in their tokenizer_config.json say in its place. As in
// transformers, the other folders' files of these names are not looked at.
void read_older_files(const fs::path& folder, TokenizerSettings& settings) {
  const fs::path special_tokens = folder / "special_tokens_map.json";
  if (const auto json = read_optional_json(special_tokens)) {
    read_special_tokens(Component(*json, special_tokens.string()), settings);
  }
  const fs::path added_tokens = folder / "added_tokens.json";
  if (const auto json = read_optional_json(added_tokens)) {
    read_added_tokens(Component(*json, added_tokens.string()), settings);
  }
}

}  // namespace

std::vector<AddedToken> TokenizerSettings::all_special_tokens() const {
  std::vector<AddedToken> result = more_special_tokens;
  for (const auto& [role, token] : special_tokens) result.push_back(token);
  return result;
}

bool TokenizerSettings::has_role(std::string_view content) const {
  return std::ranges::any_of(special_tokens,
                             [&](const auto& entry) { return entry.second.content == content; });
}

TokenizerSettings TokenizerSettings::read(const fs::path& folder) {
  TokenizerSettings settings;
  const fs::path config = folder / "tokenizer_config.json";
  if (const auto json = read_optional_json(config)) {
    read_config(Component(*json, config.string()), settings);
  }
  if (!settings.config_adds_tokens) read_older_files(folder, settings);
  std::ranges::sort(settings.added_tokens, {}, &AddedToken::id);
  for (AddedToken& token : settings.added_tokens) token.special |= settings.has_role(token.content);
  const fs::path chat_template = folder / "chat_template.jinja";
  if (fs::exists(chat_template)) {  // wins over tokenizer_config.json, as in transformers
    settings.chat_template_file = chat_template.string();
    settings.chat_templates["default"] = read_file(chat_template);
    require_utf8(settings.chat_templates["default"], chat_template.string());
  }
  return settings;
}

}  // namespace helix
