#include <algorithm>
#include <limits>

#include "tokenizer/prefix_search.h"
#include "tokenizer/token_model.h"
#include "tokenizer/utf8.h"

namespace helix {
namespace {

constexpr TokenId kNoToken = -1;
constexpr double kUnknownPenalty = 10.0;  // SentencePiece's: below the least score of a token

struct UnigramOptions {
  TokenId unknown = kNoToken;
  bool byte_fallback = false;
  std::vector<double> scores;  // by id, log probabilities
};

// The best way to a position of the text: the last token and where it begins.
struct Arrival {
  double score = -std::numeric_limits<double>::infinity();
  std::size_t begin = 0;
  TokenId token = kNoToken;
};

// The most probable segmentation (Viterbi; Kudo 2018, "Subword Regularization").
class UnigramModel : public TokenModel {
 public:
  UnigramModel(Vocabulary vocabulary, UnigramOptions options)
      : TokenModel(std::move(vocabulary)),
        options_(std::move(options)),
        tokens_(this->vocabulary()) {
    const auto& scores = options_.scores;
    unknown_score_ = *std::min_element(scores.begin(), scores.end()) - kUnknownPenalty;
  }

  void encode(std::string_view piece, WordCache& cache, std::vector<TokenId>& ids,
              CancelCheck& cancel) const override {
    if (const auto* known = cache.find(piece)) {
      ids.insert(ids.end(), known->begin(), known->end());
      return;
    }
    std::vector<TokenId> found = best_path(piece, arrivals(piece, cancel), cancel);
    ids.insert(ids.end(), found.begin(), found.end());
    cache.store(piece, std::move(found));
  }

 private:
  std::vector<Arrival> arrivals(std::string_view piece, CancelCheck& cancel) const {
    std::vector<Arrival> best(piece.size() + 1);
    best[0].score = 0.0;
    for (std::size_t begin = 0, next = 0; begin < piece.size(); begin = next) {
      next_code_point(piece, next);
      bool covered = false;  // one character is a token
      tokens_.for_each(piece.substr(begin), cancel, [&](std::size_t size, TokenId id) {
        covered = covered || begin + size == next;
        offer(best, begin, begin + size, id, options_.scores[static_cast<std::size_t>(id)]);
      });
      if (!covered) offer(best, begin, next, options_.unknown, unknown_score_);
    }
    return best;
  }

  static void offer(std::vector<Arrival>& best, std::size_t begin, std::size_t end, TokenId token,
                    double score) {
    const double total = best[begin].score + score;
    if (best[end].token == kNoToken || total > best[end].score) best[end] = {total, begin, token};
  }

  std::vector<TokenId> best_path(std::string_view piece, const std::vector<Arrival>& best,
                                 CancelCheck& cancel) const {
    std::vector<TokenId> ids;  // from the end
    std::size_t end = piece.size();
    while (end > 0) {
      cancel.step();
      std::size_t begin = best[end].begin;
      const TokenId token = best[end].token;
      if (token == options_.unknown) {
        while (begin > 0 && best[begin].token == token) begin = best[begin].begin;  // fused
        append_unknown(piece.substr(begin, end - begin), ids, cancel);
      } else {
        ids.push_back(token);
      }
      end = begin;
    }
    std::reverse(ids.begin(), ids.end());
    return ids;
  }

  void append_unknown(std::string_view text, std::vector<TokenId>& reversed,
                      CancelCheck& cancel) const {
    if (text == *vocabulary().token(options_.unknown)) {  // written out, it needs no bytes
      reversed.push_back(options_.unknown);
      return;
    }
    std::vector<TokenId> bytes;
    for (const char byte : text) {
      cancel.step();
      const auto id = options_.byte_fallback
                          ? vocabulary().find(byte_token(static_cast<unsigned char>(byte)))
                          : std::nullopt;
      if (!id) {
        reversed.push_back(options_.unknown);
        return;
      }
      bytes.push_back(*id);
    }
    reversed.insert(reversed.end(), bytes.rbegin(), bytes.rend());
  }

  UnigramOptions options_;
  double unknown_score_ = 0.0;
  PrefixSearch tokens_;
};

}  // namespace

std::unique_ptr<TokenModel> make_unigram_model(const Component& component) {
  const auto tokens = component.json().find("vocab");
  if (tokens == component.json().end() || !tokens->is_array() || tokens->empty()) {
    component.corrupt("no list of tokens and scores");
  }
  Vocabulary vocabulary;
  UnigramOptions options;
  for (const SortedJson& entry : *tokens) {
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number()) {
      component.corrupt("vocabulary entry " + entry.dump() + " is no pair of token and score");
    }
    vocabulary.add(entry[0].get_ref<const std::string&>(),
                   static_cast<TokenId>(options.scores.size()), component.where());
    options.scores.push_back(entry[1].get<double>());
  }
  const std::int64_t unknown = component.number("unk_id", kNoToken);
  if (unknown < 0 || unknown >= static_cast<std::int64_t>(options.scores.size())) {
    component.unsupported("a Unigram model without unk_id");
  }
  options.unknown = static_cast<TokenId>(unknown);
  options.byte_fallback = component.flag("byte_fallback", false);
  return std::make_unique<UnigramModel>(std::move(vocabulary), std::move(options));
}

}  // namespace helix
