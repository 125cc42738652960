#include "tokenizer/vocabulary.h"

#include <set>

#include "base/message.h"

namespace helix {
namespace {

constexpr int kMaxDepth = 100;
constexpr TokenId kMaxTokenId = (1 << 24) - 1;

}  // namespace

SortedJson parse_sorted_json(std::string_view text, std::string_view file) {
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  const auto watch = [&](int depth, SortedJson::parse_event_t event, SortedJson& parsed) {
    if (depth > kMaxDepth) {
      throw_error(ErrorCode::kCorruptData, file, ": JSON nested deeper than ", kMaxDepth);
    }
    if (event == SortedJson::parse_event_t::object_start) keys.emplace_back();
    if (event == SortedJson::parse_event_t::object_end) keys.pop_back();
    if (event == SortedJson::parse_event_t::key &&
        !keys.back().insert(parsed.get_ref<const std::string&>()).second) {
      throw_error(ErrorCode::kCorruptData, file, ": key ", parsed.dump(), " occurs twice");
    }
    return true;
  };
  try {
    return SortedJson::parse(text, watch);
  } catch (const SortedJson::exception& fault) {
    throw_error(ErrorCode::kCorruptData, file, ": not valid JSON: ", fault.what());
  }
}

Vocabulary::Vocabulary(const SortedJson& tokens, std::string_view file) {
  if (!tokens.is_object()) {
    throw_error(ErrorCode::kCorruptData, file, ": the vocabulary is ", tokens.type_name(),
                ", expected an object");
  }
  ids_.reserve(tokens.size());
  for (const auto& [token, id] : tokens.items()) {
    if (!id.is_number_integer() || id < 0 || id > kMaxTokenId) {
      throw_error(ErrorCode::kCorruptData, file, ": id of token \"", token, "\" is ", id.dump(),
                  ", expected 0 to ", kMaxTokenId);
    }
    add(token, id.get<TokenId>(), file);
  }
}

void Vocabulary::add(std::string_view token, TokenId id, std::string_view file) {
  if (id < 0 || id > kMaxTokenId) {
    throw_error(ErrorCode::kCorruptData, file, ": id of token \"", token, "\" is ", id,
                ", expected 0 to ", kMaxTokenId);
  }
  const auto index = static_cast<std::size_t>(id);
  if (index >= tokens_.size()) tokens_.resize(index + 1, nullptr);
  const auto [entry, is_new] = ids_.try_emplace(std::string(token), id);
  if (!is_new || tokens_[index] != nullptr) {
    throw_error(ErrorCode::kCorruptData, file, ": token \"", token, "\" or its id ", id,
                " occurs twice");
  }
  tokens_[index] = &entry->first;
}

std::optional<TokenId> Vocabulary::find(std::string_view token) const {
  const auto entry = ids_.find(token);
  if (entry == ids_.end()) return std::nullopt;
  return entry->second;
}

const std::string* Vocabulary::token(TokenId id) const {
  if (id < 0 || static_cast<std::size_t>(id) >= tokens_.size()) return nullptr;
  return tokens_[static_cast<std::size_t>(id)];
}

}  // namespace helix
