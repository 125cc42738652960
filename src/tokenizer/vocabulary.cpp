#include "tokenizer/vocabulary.h"

#include "base/message.h"

namespace helix {
namespace {

constexpr TokenId kMaxTokenId = (1 << 24) - 1;
constexpr std::size_t kFirstSlots = 1024;

std::uint32_t hash_of(std::string_view token) {
  const std::uint64_t hash = StringHash{}(token);
  return static_cast<std::uint32_t>(hash ^ (hash >> 32));
}

}  // namespace

void Vocabulary::add(std::string_view token, std::int64_t id, std::string_view file) {
  if (id < 0 || id > kMaxTokenId) {
    throw_error(ErrorCode::kCorruptData, file, ": id of token \"", token, "\" is ", id,
                ", expected 0 to ", kMaxTokenId);
  }
  if (3 * (size() + 1) > 2 * slots_.size()) grow();
  const auto index = static_cast<std::size_t>(id);
  if (index >= by_id_.size()) by_id_.resize(index + 1, kNone);
  const std::uint32_t hash = hash_of(token);
  Slot& slot = slots_[slot_of(token, hash)];
  if (slot.entry != kNone || by_id_[index] != kNone) {
    throw_error(ErrorCode::kCorruptData, file, ": token \"", token, "\" or its id ", id,
                " occurs twice");
  }
  slot = {hash, static_cast<std::int32_t>(size())};
  by_id_[index] = slot.entry;
  entries_.push_back({std::string(token), static_cast<TokenId>(id)});
}

std::optional<TokenId> Vocabulary::find(std::string_view token) const {
  if (slots_.empty()) return std::nullopt;
  const std::int32_t entry = slots_[slot_of(token, hash_of(token))].entry;
  if (entry == kNone) return std::nullopt;
  return entries_[static_cast<std::size_t>(entry)].id;
}

const std::string* Vocabulary::token(TokenId id) const {
  if (id < 0 || static_cast<std::size_t>(id) >= by_id_.size()) return nullptr;
  const std::int32_t entry = by_id_[static_cast<std::size_t>(id)];
  return entry == kNone ? nullptr : &entries_[static_cast<std::size_t>(entry)].token;
}

std::size_t Vocabulary::slot_of(std::string_view token, std::uint32_t hash) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = hash & mask;
  while (slots_[at].entry != kNone &&
         (slots_[at].hash != hash ||
          entries_[static_cast<std::size_t>(slots_[at].entry)].token != token)) {
    at = (at + 1) & mask;
  }
  return at;
}

void Vocabulary::grow() {
  const std::vector<Slot> before = std::move(slots_);
  slots_.assign(before.empty() ? kFirstSlots : 2 * before.size(), {});
  const std::size_t mask = slots_.size() - 1;
  for (const Slot& slot : before) {
    if (slot.entry == kNone) continue;
    std::size_t at = slot.hash & mask;
    while (slots_[at].entry != kNone) at = (at + 1) & mask;
    slots_[at] = slot;
  }
}

}  // namespace helix
