#include "tokenizer/token_model.h"
#include "tokenizer/utf8.h"

namespace helix {
namespace {

struct WordPieceOptions {
  TokenId unknown = 0;
  std::string continuing_subword_prefix;
  std::size_t max_word_characters = 100;
};

// Greedy longest match from the left; a word that cannot be covered is one unknown token.
class WordPieceModel : public TokenModel {
 public:
  WordPieceModel(Vocabulary vocabulary, WordPieceOptions options)
      : TokenModel(std::move(vocabulary)), options_(std::move(options)) {}

  void encode(std::string_view piece, WordCache& cache, std::vector<TokenId>& ids,
              CancelCheck& cancel) const override {
    if (const auto* known = cache.find(piece)) {
      ids.insert(ids.end(), known->begin(), known->end());
      return;
    }
    std::vector<TokenId> found = encode_word(piece, cancel);
    ids.insert(ids.end(), found.begin(), found.end());
    cache.store(piece, std::move(found));
  }

 private:
  std::vector<TokenId> encode_word(std::string_view word, CancelCheck& cancel) const {
    if (code_points(word).size() > options_.max_word_characters) return {options_.unknown};
    std::vector<TokenId> ids;
    for (std::size_t begin = 0; begin < word.size();) {
      std::size_t end = word.size();
      std::optional<TokenId> id;
      while (end > begin && !(id = find_part(word.substr(begin, end - begin), begin > 0))) {
        cancel.step(1 + (end - begin) / 16);  // as much as the token is long
        do {
          --end;
        } while (end > begin && (word[end] & 0xC0) == 0x80);
      }
      if (!id) return {options_.unknown};
      ids.push_back(*id);
      begin = end;
    }
    return ids;
  }

  std::optional<TokenId> find_part(std::string_view part, bool continues) const {
    if (!continues) return vocabulary().find(part);
    std::string marked = options_.continuing_subword_prefix;
    marked += part;
    return vocabulary().find(marked);
  }

  WordPieceOptions options_;
};

}  // namespace

std::unique_ptr<TokenModel> make_word_piece_model(const Component& component, TokenTables tables) {
  component.member("vocab");  // is there, and an object
  Vocabulary vocabulary = std::move(tables.vocabulary);
  const std::string unknown = component.text("unk_token", "[UNK]");
  const auto id = vocabulary.find(unknown);
  if (!id) component.corrupt("unk_token \"" + unknown + "\" is not in the vocabulary");
  const std::int64_t limit = component.number("max_input_chars_per_word", 100);
  if (limit < 0) component.corrupt("max_input_chars_per_word is negative");
  return std::make_unique<WordPieceModel>(
      std::move(vocabulary),
      WordPieceOptions{*id, component.text("continuing_subword_prefix", "##"),
                       static_cast<std::size_t>(limit)});
}

}  // namespace helix
