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

constexpr std::array<const char*, 7> kSpecialTokenNames{
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};

std::optional<SortedJson> read_optional_json(const fs::path& path) {
  if (!fs::exists(path)) return std::nullopt;
  return parse_sorted_json(read_file(path), path.string());
}

// A string or an object with "content".
std::string read_token(const SortedJson& json, const std::string& where) {
  if (json.is_string()) return json.get<std::string>();
  return Component(json, where).text("content");
}

void read_special_tokens(const Component& file, TokenizerSettings& settings) {
  for (const char* name : kSpecialTokenNames) {
    if (!file.has(name) || settings.special_tokens.contains(name)) continue;
    settings.special_tokens[name] = read_token(file.json()[name], concat(file.where(), ".", name));
  }
  for (const char* name : {"additional_special_tokens", "extra_special_tokens"}) {
    if (!file.has(name)) continue;
    for (const SortedJson& token : file.json()[name]) {  // a list, or an object with names
      settings.more_special_tokens.push_back(read_token(token, concat(file.where(), ".", name)));
    }
  }
}

// {"151643": {"content": "<|endoftext|>", ...}}
void read_added_tokens_decoder(const Component& file, TokenizerSettings& settings) {
  if (!file.has("added_tokens_decoder")) return;
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

// {"<|im_end|>": 151645}; tokens that tokenizer_config.json describes better are left out.
void read_added_tokens(const Component& file, TokenizerSettings& settings) {
  std::vector<AddedToken> found;
  const std::vector<std::string> special = settings.all_special_tokens();
  for (const auto& [content, id] : file.json().items()) {
    if (!id.is_number_integer() || id < 0 || id >= (1 << 24)) {
      file.corrupt("id of token \"" + content + "\"");
    }
    AddedToken token;
    token.content = content;
    token.id = id.get<TokenId>();
    token.special = std::find(special.begin(), special.end(), content) != special.end();
    token.normalized = !token.special;
    bool known = false;
    for (const AddedToken& other : settings.added_tokens) known |= other.id == token.id;
    if (!known) found.push_back(std::move(token));
  }
  settings.added_tokens.insert(settings.added_tokens.end(), found.begin(), found.end());
}

}  // namespace

std::vector<std::string> TokenizerSettings::all_special_tokens() const {
  std::vector<std::string> result = more_special_tokens;
  for (const auto& [name, token] : special_tokens) result.push_back(token);
  return result;
}

TokenizerSettings TokenizerSettings::read(const fs::path& folder) {
  TokenizerSettings settings;
  const fs::path config = folder / "tokenizer_config.json";
  if (const auto json = read_optional_json(config)) {
    read_config(Component(*json, config.string()), settings);
  }
  const fs::path special_tokens = folder / "special_tokens_map.json";
  if (const auto json = read_optional_json(special_tokens)) {
    read_special_tokens(Component(*json, special_tokens.string()), settings);
  }
  const fs::path added_tokens = folder / "added_tokens.json";
  if (const auto json = read_optional_json(added_tokens)) {
    read_added_tokens(Component(*json, added_tokens.string()), settings);
  }
  const fs::path chat_template = folder / "chat_template.jinja";
  if (fs::exists(chat_template)) {  // wins over tokenizer_config.json, as in transformers
    settings.chat_template_file = chat_template.string();
    settings.chat_templates["default"] = read_file(chat_template);
    require_utf8(settings.chat_templates["default"], chat_template.string());
  }
  return settings;
}

}  // namespace helix
