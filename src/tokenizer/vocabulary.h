#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace helix {

using TokenId = std::int32_t;

// JSON with sorted keys: helix::Json looks every key up by walking the object, which takes minutes
// on a vocabulary.
using SortedJson = nlohmann::json;

// As helix::parse_json: Error(kCorruptData) naming `file` for malformed JSON, repeated keys,
// nesting deeper than 100.
SortedJson parse_sorted_json(std::string_view text, std::string_view file);

struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept {
    return std::hash<std::string_view>{}(text);
  }
};

template <typename Value>
using StringMap = std::unordered_map<std::string, Value, StringHash, std::equal_to<>>;

// Token strings and their numbers, both ways.
class Vocabulary {
 public:
  Vocabulary() = default;
  Vocabulary(Vocabulary&&) = default;
  Vocabulary& operator=(Vocabulary&&) = default;
  // An object {"token": id}. Throws Error(kCorruptData) naming `file` for another type, a negative
  // or very large id, or one id for two tokens.
  Vocabulary(const SortedJson& tokens, std::string_view file);

  void add(std::string_view token, TokenId id, std::string_view file);

  std::optional<TokenId> find(std::string_view token) const;
  // Null where there is no such token.
  const std::string* token(TokenId id) const;
  std::size_t size() const { return ids_.size(); }
  // One more than the greatest id.
  std::size_t id_limit() const { return tokens_.size(); }

 private:
  StringMap<TokenId> ids_;
  std::vector<const std::string*> tokens_;  // by id; point into the keys of ids_
};

}  // namespace helix
