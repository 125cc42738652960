#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "helix/progress.h"
#include "tokenizer/token_backend.h"

namespace helix {

struct ChatOptions {
  bool add_generation_prompt = true;  // end with the opening of the assistant's answer
  Json tools;                         // list of JSON schemas, null: none
  Json documents;                     // list of {"title", "text"}, null: none
  std::string template_name;        // of a list of templates; "": "tool_use" with tools where there
                                    // is one, else "default"
  Json variables = Json::object();  // further names for the template ("enable_thinking", ...)
};

// Text to token ids and back, and messages to a prompt, as the files of a Hugging Face folder say.
// Immutable once open; may be used from several threads.
class Tokenizer {
 public:
  // Reads tokenizer.json; where there is none, tokenizer.model (SentencePiece); where there is
  // neither, vocab.json and merges.txt. tokenizer_config.json, added_tokens.json,
  // special_tokens_map.json and chat_template.jinja add what they say. Throws Error(kNotFound) for
  // a folder with no tokenizer, kUnsupported naming the file and the part that is not known,
  // kCorruptData for a file that breaks its format.
  static Tokenizer open(const std::filesystem::path& folder);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // `add_special_tokens`: with those that the files put around a text ("<s>"). A special token
  // written out in the text is that token. About linear in the length of the text. Of `hooks` only
  // `cancel` counts. Throws Error(kInvalidArgument) with the byte offset where `text` is not UTF-8,
  // kCancelled.
  std::vector<TokenId> encode(std::string_view text, bool add_special_tokens = true,
                              const Hooks& hooks = {}) const;

  // Ids that are no token are left out; bytes that are no UTF-8 become U+FFFD.
  std::string decode(std::span<const TokenId> ids, bool skip_special_tokens = true) const;

  std::optional<TokenId> token_to_id(std::string_view token) const;
  std::optional<std::string> id_to_token(TokenId id) const;
  // One more than the greatest id; a model's embedding may have more rows.
  std::size_t vocabulary_size() const;
  bool is_special(TokenId id) const;

  std::optional<TokenId> bos_id() const { return special_token_id("bos_token"); }
  std::optional<TokenId> eos_id() const { return special_token_id("eos_token"); }
  std::optional<TokenId> pad_id() const { return special_token_id("pad_token"); }
  std::optional<TokenId> unk_id() const { return special_token_id("unk_token"); }
  // By the names of tokenizer_config.json.
  std::optional<TokenId> special_token_id(const std::string& name) const;
  const std::map<std::string, std::string>& special_tokens() const;

  bool has_chat_template() const;
  // The prompt for `messages` ([{"role", "content", ...}]), to be encoded without special tokens:
  // the template writes its own. It sees a message's reasoning, given as "reasoning_content",
  // "thinking" or "reasoning", under each of the first two names. Throws Error(kNotFound) without a
  // template, kUnsupported naming the construct and its line for a template beyond this
  // interpreter, kInvalidArgument with the template's own words where it refuses the messages.
  std::string render_chat(const Json& messages, const ChatOptions& options = {}) const;

  const TokenBackend& backend() const;

 private:
  struct State;
  explicit Tokenizer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace helix
