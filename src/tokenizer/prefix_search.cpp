#include "tokenizer/prefix_search.h"

namespace helix {

PrefixSearch::PrefixSearch(const Vocabulary& vocabulary) {
  tokens_.reserve(vocabulary.size());
  for (std::size_t i = 0; i < vocabulary.id_limit(); ++i) {
    const auto id = static_cast<TokenId>(i);
    const std::string* token = vocabulary.token(id);
    if (token != nullptr && !token->empty()) tokens_.push_back({*token, id});
  }
  std::ranges::sort(tokens_, {}, &Token::text);
}

}  // namespace helix
