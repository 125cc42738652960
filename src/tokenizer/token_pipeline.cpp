#include "tokenizer/token_pipeline.h"

#include <algorithm>

#include "tokenizer/normalizer.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/token_model.h"

namespace helix {
namespace {

class TokenPipeline : public TokenBackend {
 public:
  TokenPipeline(const Component& file, TokenTables tables, const TokenizerSettings& settings)
      : normalizer_(make_normalizer(part(file, "normalizer"), name(file, "normalizer"))),
        pre_tokenizer_(
            make_pre_tokenizer(part(file, "pre_tokenizer"), name(file, "pre_tokenizer"))),
        model_(make_token_model(part(file, "model"), name(file, "model"), std::move(tables))),
        frame_(read_post_processor(part(file, "post_processor"), name(file, "post_processor"))),
        decoder_(make_token_decoder(part(file, "decoder"), name(file, "decoder"))) {
    if (file.has("added_tokens")) read_added_tokens(file, settings);
    add_settings_tokens(settings, file.where());
    added_.prepare(normalizer_.get());
    id_limit_ =
        std::max(model_->vocabulary().id_limit(), static_cast<std::size_t>(added_.id_limit()));
  }

  std::vector<TokenId> encode(std::string_view text, bool add_special_tokens,
                              const Hooks& hooks) const override {
    CancelCheck cancel(hooks);
    std::vector<TokenId> ids;
    if (add_special_tokens) ids = frame_.before;
    WordCache cache;
    const PreTokenizer::Sink encode_piece = [&](std::string_view piece, bool) {
      model_->encode(piece, cache, ids, cancel);
    };
    const auto add_token = [&](TokenId id) { ids.push_back(id); };
    const AddedTokens::Sink normalized{add_token, [&](std::string_view part, bool at_start) {
                                         split(part, at_start, encode_piece, cancel);
                                       }};
    const AddedTokens::Sink raw{add_token, [&](std::string_view part, bool at_start) {
                                  added_.split_normalized(normalize(part, cancel), at_start,
                                                          normalized, cancel);
                                }};
    added_.split_raw(text, raw, cancel);
    if (add_special_tokens) ids.insert(ids.end(), frame_.behind.begin(), frame_.behind.end());
    return ids;
  }

  std::string decode(std::span<const TokenId> ids, bool skip_special_tokens,
                     InvalidBytes invalid) const override {
    std::vector<std::string> tokens;
    tokens.reserve(ids.size());
    for (const TokenId id : ids) {
      if (skip_special_tokens && is_special(id)) continue;
      if (auto token = id_to_token(id)) tokens.push_back(std::move(*token));
    }
    if (decoder_) decoder_->apply(tokens, invalid);
    std::string text;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (i > 0 && !decoder_) text += ' ';
      text += tokens[i];
    }
    return text;
  }

  std::optional<TokenId> token_to_id(std::string_view token) const override {
    if (const AddedToken* added = added_.find(token)) return added->id;
    return model_->vocabulary().find(token);
  }

  std::optional<std::string> id_to_token(TokenId id) const override {
    if (const AddedToken* added = added_.find(id)) return added->written;
    const std::string* token = model_->vocabulary().token(id);
    return token == nullptr ? std::nullopt : std::optional(*token);
  }

  bool is_special(TokenId id) const override {
    const AddedToken* added = added_.find(id);
    return added != nullptr && added->special;
  }

  std::size_t id_limit() const override { return id_limit_; }

 private:
  static const SortedJson& part(const Component& file, const char* key) {
    static const SortedJson null;
    const auto entry = file.json().find(key);
    return entry == file.json().end() ? null : *entry;
  }

  static std::string name(const Component& file, const char* key) {
    return file.where() + ": " + key;
  }

  void read_added_tokens(const Component& file, const TokenizerSettings& settings) {
    constexpr std::int64_t kMaxTokenId = (1 << 24) - 1;
    for (const Component& entry : file.list("added_tokens")) {
      const std::int64_t id = entry.number("id", -1);
      if (id < 0 || id > kMaxTokenId) entry.corrupt("id " + std::to_string(id));
      AddedToken token = AddedToken::read(entry, static_cast<TokenId>(id));
      token.special |= !settings.config_adds_tokens && settings.has_role(token.content);
      added_.add(std::move(token), model_->vocabulary(), file.where());
    }
  }

  // As transformers does: what tokenizer_config.json says of a token wins, what added_tokens.json
  // says does not; special tokens of the vocabulary are looked for in the text.
  void add_settings_tokens(const TokenizerSettings& settings, const std::string& where) {
    const auto is_known = [&](const AddedToken& token) {
      return added_.find(token.content) != nullptr || added_.find(token.id) != nullptr;
    };
    for (const AddedToken& token : settings.added_tokens) {
      if (settings.config_adds_tokens || !is_known(token)) {
        added_.add(token, model_->vocabulary(), where);
      }
    }
    for (const AddedToken& token : settings.all_special_tokens()) {
      if (model_->vocabulary().find(token.content) && added_.find(token.content) == nullptr) {
        added_.add(token, model_->vocabulary(), where);
      }
    }
  }

  std::string normalize(std::string_view text, CancelCheck& cancel) const {
    return normalizer_ ? normalizer_->apply(std::string(text), cancel) : std::string(text);
  }

  void split(std::string_view text, bool at_start, const PreTokenizer::Sink& sink,
             CancelCheck& cancel) const {
    if (pre_tokenizer_) {
      pre_tokenizer_->split(text, at_start, sink, cancel);
    } else if (!text.empty()) {
      sink(text, at_start);
    }
  }

  std::unique_ptr<Normalizer> normalizer_;
  std::unique_ptr<PreTokenizer> pre_tokenizer_;
  std::unique_ptr<TokenModel> model_;
  SpecialTokenFrame frame_;
  std::unique_ptr<TokenDecoder> decoder_;
  AddedTokens added_;
  std::size_t id_limit_ = 0;
};

}  // namespace

std::unique_ptr<TokenBackend> make_token_pipeline(TokenizerJson json, const std::string& file,
                                                  const TokenizerSettings& settings) {
  return std::make_unique<TokenPipeline>(Component(json.json, file), std::move(json.tables),
                                         settings);
}

}  // namespace helix
