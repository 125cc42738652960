#include "tokenizer/tokenizer.h"

#include "base/file.h"
#include "base/message.h"
#include "tokenizer/chat_template.h"
#include "tokenizer/sentence_piece.h"
#include "tokenizer/token_pipeline.h"
#include "tokenizer/tokenizer_settings.h"
#include "tokenizer/utf8.h"
#include "tokenizer/vocabulary_files.h"

namespace helix {
namespace {

namespace fs = std::filesystem;

SentencePieceOptions sentence_piece_options(const TokenizerSettings& settings) {
  SentencePieceOptions options;
  options.added_tokens = settings.added_tokens;
  options.special_tokens = settings.all_special_tokens();
  options.add_bos = settings.add_bos.value_or(true);
  options.add_eos = settings.add_eos.value_or(false);
  options.prefix_every_part = settings.legacy;
  return options;
}

std::unique_ptr<TokenBackend> open_backend(const fs::path& folder,
                                           const TokenizerSettings& settings) {
  const fs::path pipeline = folder / "tokenizer.json";
  if (fs::exists(pipeline)) {
    return make_token_pipeline(parse_tokenizer_json(read_file(pipeline), pipeline.string()),
                               pipeline.string(), settings);
  }
  const fs::path model = folder / "tokenizer.model";
  if (fs::exists(model)) {
    return make_sentence_piece(read_file(model), model.string(), sentence_piece_options(settings));
  }
  const fs::path vocabulary = folder / "vocab.json";
  if (fs::exists(vocabulary) && fs::exists(folder / "merges.txt")) {
    return make_token_pipeline(read_vocabulary_and_merges(folder, settings), vocabulary.string(),
                               settings);
  }
  throw_error(ErrorCode::kNotFound, folder.string(),
              ": no tokenizer (tokenizer.json, tokenizer.model, or vocab.json and merges.txt)");
}

// The first of the names under which a message gives its reasoning; null where it has none.
Json reasoning_of(const Json& message) {
  for (const char* name : {"reasoning_content", "thinking", "reasoning"}) {
    if (message.contains(name) && !message[name].is_null()) return message[name];
  }
  return nullptr;
}

// As transformers does: templates read reasoning_content, some read thinking.
Json with_reasoning_aliases(Json messages) {
  for (Json& message : messages) {
    Json reasoning = message.is_object() ? reasoning_of(message) : Json();
    if (reasoning.is_null()) continue;
    Json aliased = Json::object();
    aliased["thinking"] = reasoning;
    for (const auto& [name, value] : message.items()) aliased[name] = value;
    aliased["reasoning_content"] = std::move(reasoning);
    message = std::move(aliased);
  }
  return messages;
}

}  // namespace

struct Tokenizer::State {
  std::unique_ptr<TokenBackend> backend;
  std::map<std::string, std::string> special_tokens;
  std::map<std::string, std::string> template_sources;
  std::string template_file;

  const std::string& template_source(const ChatOptions& options) const {
    std::string name = options.template_name;
    if (name.empty()) {
      const bool for_tools = !options.tools.is_null() && template_sources.contains("tool_use");
      name = for_tools ? "tool_use" : "default";
    }
    const auto entry = template_sources.find(name);
    if (entry == template_sources.end()) {
      throw_error(ErrorCode::kNotFound, "this tokenizer has no chat template \"", name, "\"");
    }
    return entry->second;
  }
};

Tokenizer::Tokenizer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Tokenizer Tokenizer::open(const fs::path& folder) {
  TokenizerSettings settings = TokenizerSettings::read(folder);
  auto state = std::make_unique<State>();
  state->backend = open_backend(folder, settings);
  for (auto& [role, token] : settings.special_tokens) {
    state->special_tokens[role] = std::move(token.content);
  }
  state->template_sources = std::move(settings.chat_templates);
  state->template_file = std::move(settings.chat_template_file);
  return Tokenizer(std::move(state));
}

std::vector<TokenId> Tokenizer::encode(std::string_view text, bool add_special_tokens,
                                       const Hooks& hooks) const {
  require_utf8(text, "the text to encode");
  hooks.check_cancelled();
  return state_->backend->encode(text, add_special_tokens, hooks);
}

std::string Tokenizer::decode(std::span<const TokenId> ids, bool skip_special_tokens) const {
  return state_->backend->decode(ids, skip_special_tokens, InvalidBytes::kReplace);
}

std::optional<TokenId> Tokenizer::token_to_id(std::string_view token) const {
  return state_->backend->token_to_id(token);
}

std::optional<std::string> Tokenizer::id_to_token(TokenId id) const {
  return state_->backend->id_to_token(id);
}

std::size_t Tokenizer::vocabulary_size() const { return state_->backend->id_limit(); }

bool Tokenizer::is_special(TokenId id) const { return state_->backend->is_special(id); }

std::optional<TokenId> Tokenizer::special_token_id(const std::string& name) const {
  const auto entry = state_->special_tokens.find(name);
  if (entry == state_->special_tokens.end()) return std::nullopt;
  return token_to_id(entry->second);
}

const std::map<std::string, std::string>& Tokenizer::special_tokens() const {
  return state_->special_tokens;
}

bool Tokenizer::has_chat_template() const { return !state_->template_sources.empty(); }

std::string Tokenizer::render_chat(const Json& messages, const ChatOptions& options) const {
  const std::string& source = state_->template_source(options);
  Json variables = options.variables;
  for (const auto& [name, token] : state_->special_tokens) {
    if (!variables.contains(name)) variables[name] = token;
  }
  variables["messages"] = with_reasoning_aliases(messages);
  variables["tools"] = options.tools;
  variables["documents"] = options.documents;
  variables["add_generation_prompt"] = options.add_generation_prompt;
  return ChatTemplate(source, state_->template_file).render(variables);
}

const TokenBackend& Tokenizer::backend() const { return *state_->backend; }

}  // namespace helix
