#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "helix/progress.h"
#include "tokenizer/token_decoder.h"
#include "tokenizer/vocabulary.h"

namespace helix {

// What Tokenizer needs of a tokenizer, whichever files it came from. Immutable; may be used from
// several threads.
class TokenBackend {
 public:
  virtual ~TokenBackend() = default;
  virtual std::vector<TokenId> encode(std::string_view valid_utf8, bool add_special_tokens,
                                      const Hooks& hooks) const = 0;
  // Ids without a token are left out.
  virtual std::string decode(std::span<const TokenId> ids, bool skip_special_tokens,
                             InvalidBytes invalid) const = 0;
  virtual std::optional<TokenId> token_to_id(std::string_view token) const = 0;
  virtual std::optional<std::string> id_to_token(TokenId id) const = 0;
  virtual bool is_special(TokenId id) const = 0;
  // One more than the greatest id.
  virtual std::size_t id_limit() const = 0;
};

}  // namespace helix
