#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace helix {

using TokenId = std::int32_t;

struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept {
    return std::hash<std::string_view>{}(text);
  }
};

template <typename Value>
using StringMap = std::unordered_map<std::string, Value, StringHash, std::equal_to<>>;

// Token strings and their numbers, both ways. An open hash table: loading a model looks tokens up
// half a million times.
class Vocabulary {
 public:
  Vocabulary() = default;
  Vocabulary(Vocabulary&&) = default;
  Vocabulary& operator=(Vocabulary&&) = default;

  // Throws Error(kCorruptData) naming `file` for a negative or very large id, a token that is there
  // already, or one id for two tokens.
  void add(std::string_view token, std::int64_t id, std::string_view file);

  std::optional<TokenId> find(std::string_view token) const;
  // Null where there is no such token; valid until the next add.
  const std::string* token(TokenId id) const;
  std::size_t size() const { return entries_.size(); }
  // One more than the greatest id.
  std::size_t id_limit() const { return by_id_.size(); }

 private:
  struct Entry {
    std::string token;
    TokenId id;
  };
  struct Slot {
    std::uint32_t hash = 0;
    std::int32_t entry = kNone;
  };
  static constexpr std::int32_t kNone = -1;

  // The slot of `token`, or the free one where it belongs.
  std::size_t slot_of(std::string_view token, std::uint32_t hash) const;
  void grow();

  std::vector<Entry> entries_;
  std::vector<std::int32_t> by_id_;  // into entries_
  std::vector<Slot> slots_;          // a power of two, at least a third of them free
};

}  // namespace helix
