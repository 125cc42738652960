#include <array>
#include <mutex>
#include <unordered_set>

#include "tokenizer/bpe_merges.h"
#include "tokenizer/token_model.h"
#include "tokenizer/utf8.h"

namespace helix {
namespace {

constexpr TokenId kNoToken = -1;
// Pieces longer than this are cut where no merge can reach across.
constexpr std::size_t kLongPieceBytes = 64;

struct BpeOptions {
  TokenId unknown = kNoToken;
  std::string continuing_subword_prefix;
  std::string end_of_word_suffix;
  bool fuse_unknown = false;
  bool byte_fallback = false;
  bool ignore_merges = false;

  bool marks_words() const {
    return !continuing_subword_prefix.empty() || !end_of_word_suffix.empty();
  }
};

// Sentences in SentencePiece style come as one piece. Wherever two neighbouring characters occur
// side by side in no token of the vocabulary, no merge can join them, and the piece may be cut
// there: the parts are words, and the cache works again.
class SafeCuts {
 public:
  SafeCuts() = default;
  explicit SafeCuts(const Vocabulary& vocabulary) {
    for (std::size_t id = 0; id < vocabulary.id_limit(); ++id) {
      if (const std::string* token = vocabulary.token(static_cast<TokenId>(id))) add(*token);
    }
  }

  // Both are characters that are tokens of their own; an unknown one may fuse with its neighbour.
  bool between(char32_t left, char32_t right) const {
    return single_.contains(left) && single_.contains(right) && !joined_.contains(key(left, right));
  }

 private:
  static std::uint64_t key(char32_t left, char32_t right) {
    return (std::uint64_t{left} << 32) | right;
  }

  void add(std::string_view token) {
    const std::u32string characters = code_points(token);
    if (characters.size() == 1) single_.insert(characters[0]);
    for (std::size_t i = 1; i < characters.size(); ++i) {
      joined_.insert(key(characters[i - 1], characters[i]));
    }
  }

  std::unordered_set<char32_t> single_;
  std::unordered_set<std::uint64_t> joined_;
};

class BpeModel : public TokenModel {
 public:
  BpeModel(Vocabulary vocabulary, BpeMerges merges, BpeOptions options)
      : TokenModel(std::move(vocabulary)),
        merges_(std::move(merges)),
        options_(std::move(options)) {
    for (int byte = 0; byte < 256; ++byte) {
      const auto id = this->vocabulary().find(byte_token(static_cast<unsigned char>(byte)));
      byte_tokens_[static_cast<std::size_t>(byte)] = id.value_or(kNoToken);
    }
  }

  void encode(std::string_view piece, WordCache& cache, std::vector<TokenId>& ids,
              CancelCheck& cancel) const override {
    if (options_.ignore_merges) {
      if (const auto whole = vocabulary().find(piece)) {
        ids.push_back(*whole);
        return;
      }
    }
    if (piece.size() <= kLongPieceBytes || options_.marks_words()) {
      encode_word(piece, cache, ids, cancel);
      return;
    }
    const SafeCuts& cuts = safe_cuts();
    std::size_t begin = 0;
    std::size_t offset = 0;
    char32_t previous = next_code_point(piece, offset);
    while (offset < piece.size()) {
      cancel.step();
      const std::size_t cut = offset;
      const char32_t current = next_code_point(piece, offset);
      if (cuts.between(previous, current)) {
        encode_word(piece.substr(begin, cut - begin), cache, ids, cancel);
        begin = cut;
      }
      previous = current;
    }
    encode_word(piece.substr(begin), cache, ids, cancel);
  }

 private:
  // Made for the first long piece: it takes longer than loading the rest, and byte-level models
  // hardly ever need it.
  const SafeCuts& safe_cuts() const {
    std::call_once(cuts_made_, [this] { cuts_ = SafeCuts(vocabulary()); });
    return cuts_;
  }

  void encode_word(std::string_view word, WordCache& cache, std::vector<TokenId>& ids,
                   CancelCheck& cancel) const {
    if (const auto* known = cache.find(word)) {
      ids.insert(ids.end(), known->begin(), known->end());
      return;
    }
    std::vector<TokenId> symbols = characters_of(word, cancel);
    merges_.apply(symbols, cancel);
    ids.insert(ids.end(), symbols.begin(), symbols.end());
    cache.store(word, std::move(symbols));
  }

  std::vector<TokenId> characters_of(std::string_view word, CancelCheck& cancel) const {
    std::vector<TokenId> symbols;
    symbols.reserve(word.size());
    bool unknown_waits = false;  // an unknown token is added once what follows it is known
    for (std::size_t offset = 0; offset < word.size();) {
      cancel.step();
      const std::size_t begin = offset;
      next_code_point(word, offset);
      const std::string_view character = word.substr(begin, offset - begin);
      if (const auto id = find_character(character, begin == 0, offset == word.size())) {
        if (unknown_waits) symbols.push_back(options_.unknown);
        unknown_waits = false;
        symbols.push_back(*id);
      } else if (!options_.byte_fallback || !append_bytes(character, symbols)) {
        if (options_.unknown == kNoToken) continue;
        if (unknown_waits && !options_.fuse_unknown) symbols.push_back(options_.unknown);
        unknown_waits = true;
      }
    }
    if (unknown_waits) symbols.push_back(options_.unknown);
    return symbols;
  }

  std::optional<TokenId> find_character(std::string_view character, bool first, bool last) const {
    if (!options_.marks_words()) return vocabulary().find(character);
    std::string marked;
    if (!first) marked = options_.continuing_subword_prefix;
    marked += character;
    if (last) marked += options_.end_of_word_suffix;
    return vocabulary().find(marked);
  }

  bool append_bytes(std::string_view character, std::vector<TokenId>& symbols) const {
    const auto token_of = [&](char byte) { return byte_tokens_[static_cast<unsigned char>(byte)]; };
    for (const char byte : character) {
      if (token_of(byte) == kNoToken) return false;
    }
    for (const char byte : character) symbols.push_back(token_of(byte));
    return true;
  }

  BpeMerges merges_;
  BpeOptions options_;
  mutable std::once_flag cuts_made_;
  mutable SafeCuts cuts_;
  std::array<TokenId, 256> byte_tokens_{};
};

BpeOptions read_options(const Component& component, const Vocabulary& vocabulary) {
  if (component.has("dropout") && component.json()["dropout"] != 0.0) {
    component.unsupported("dropout (encoding at random)");
  }
  BpeOptions options;
  if (component.has("unk_token")) {
    const std::string unknown = component.text("unk_token");
    const auto id = vocabulary.find(unknown);
    if (!id) component.corrupt("unk_token \"" + unknown + "\" is not in the vocabulary");
    options.unknown = *id;
  }
  options.continuing_subword_prefix = component.text("continuing_subword_prefix", "");
  options.end_of_word_suffix = component.text("end_of_word_suffix", "");
  options.fuse_unknown = component.flag("fuse_unk", false);
  options.byte_fallback = component.flag("byte_fallback", false);
  options.ignore_merges = component.flag("ignore_merges", false);
  return options;
}

}  // namespace

std::unique_ptr<TokenModel> make_bpe_model(const Component& component, TokenTables tables) {
  component.member("vocab");  // is there, and an object
  component.list("merges");
  Vocabulary vocabulary = std::move(tables.vocabulary);
  BpeOptions options = read_options(component, vocabulary);
  BpeMerges merges(tables.merges, vocabulary, options.continuing_subword_prefix.size(),
                   component.where());
  return std::make_unique<BpeModel>(std::move(vocabulary), std::move(merges), std::move(options));
}

}  // namespace helix
