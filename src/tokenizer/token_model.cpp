#include "tokenizer/token_model.h"

namespace helix {
namespace {

constexpr std::size_t kMaxCachedWordBytes = 128;
constexpr std::size_t kMaxCachedWords = 100'000;

// Files older than the "type" member are told apart by what they hold.
std::string type_of(const Component& component) {
  if (component.has("type")) return component.type();
  if (component.has("merges")) return "BPE";
  return component.has("max_input_chars_per_word") ? "WordPiece" : "";
}

}  // namespace

const std::vector<TokenId>* WordCache::find(std::string_view word) const {
  if (word.size() > kMaxCachedWordBytes) return nullptr;
  const auto entry = words_.find(word);
  return entry == words_.end() ? nullptr : &entry->second;
}

void WordCache::store(std::string_view word, std::vector<TokenId> ids) {
  if (word.size() > kMaxCachedWordBytes) return;
  if (words_.size() >= kMaxCachedWords) words_.clear();
  words_.emplace(word, std::move(ids));
}

std::unique_ptr<TokenModel> make_token_model(const SortedJson& json, const std::string& where,
                                             TokenTables tables) {
  const Component component(json, where);
  const std::string type = type_of(component);
  if (type == "BPE") return make_bpe_model(component, std::move(tables));
  if (type == "Unigram") return make_unigram_model(component);
  if (type == "WordPiece") return make_word_piece_model(component, std::move(tables));
  component.unsupported("model type \"" + type + "\"");
}

std::string byte_token(unsigned char byte) {
  constexpr const char* kDigits = "0123456789ABCDEF";
  return std::string("<0x") + kDigits[byte >> 4] + kDigits[byte & 15] + ">";
}

}  // namespace helix
