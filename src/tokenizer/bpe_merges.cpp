#include "tokenizer/bpe_merges.h"

#include <algorithm>
#include <bit>
#include <queue>
#include <string>

#include "base/message.h"

namespace helix {
namespace {

constexpr std::size_t kShortWordSymbols = 24;  // up to here a plain search beats the heap
constexpr std::int32_t kNone = -1;

TokenId require(const Vocabulary& vocabulary, std::string_view token, std::size_t index,
                std::string_view where) {
  if (const auto id = vocabulary.find(token)) return *id;
  throw_error(ErrorCode::kCorruptData, where, ": token \"", token, "\" of merge ", index,
              " is not in the vocabulary");
}

// A symbol of a long word: neighbours are linked, a merged one stays behind with no token.
struct Symbol {
  TokenId token;
  std::int32_t previous;
  std::int32_t next;
};

struct Candidate {
  std::uint32_t rank;
  std::int32_t position;
  TokenId merged;
  bool operator<(const Candidate& other) const {  // the heap's top is the least
    return rank != other.rank ? rank > other.rank : position > other.position;
  }
};

std::vector<Symbol> link(const std::vector<TokenId>& tokens) {
  std::vector<Symbol> symbols;
  symbols.reserve(tokens.size());
  const auto count = static_cast<std::int32_t>(tokens.size());
  for (std::int32_t i = 0; i < count; ++i) {
    symbols.push_back({tokens[static_cast<std::size_t>(i)], i - 1, i + 1 < count ? i + 1 : kNone});
  }
  return symbols;
}

}  // namespace

BpeMerges::BpeMerges(const MergeTexts& texts, const Vocabulary& vocabulary,
                     std::size_t second_prefix_bytes, std::string_view where)
    : slots_(std::bit_ceil(std::max<std::size_t>(2 * texts.size(), 2))) {
  std::string without_prefix;
  for (std::size_t rank = 0; rank < texts.size(); ++rank) {
    const MergeTexts::Pair pair = texts[rank];
    const TokenId left = require(vocabulary, pair.left, rank, where);
    const TokenId right = require(vocabulary, pair.right, rank, where);
    std::string_view merged = pair.joined;
    if (second_prefix_bytes > 0) {
      without_prefix = pair.left;
      without_prefix += pair.right.substr(std::min(second_prefix_bytes, pair.right.size()));
      merged = without_prefix;
    }
    // Of a rule that stands there twice the later one counts, as in the Rust library's map.
    slots_[slot_of(key(left, right))] = {
        key(left, right),
        {static_cast<std::uint32_t>(rank), require(vocabulary, merged, rank, where)}};
  }
}

void BpeMerges::apply(std::vector<TokenId>& symbols, CancelCheck& cancel) const {
  if (symbols.size() <= kShortWordSymbols) {
    apply_to_short(symbols);
  } else {
    apply_to_long(symbols, cancel);
  }
}

void BpeMerges::apply_to_short(std::vector<TokenId>& symbols) const {
  for (;;) {
    const Merge* best = nullptr;
    std::size_t position = 0;
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      const Merge* merge = find(symbols[i], symbols[i + 1]);
      if (merge != nullptr && (best == nullptr || merge->rank < best->rank)) {
        best = merge;
        position = i;
      }
    }
    if (best == nullptr) return;
    symbols[position] = best->merged;
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(position) + 1);
  }
}

void BpeMerges::apply_to_long(std::vector<TokenId>& tokens, CancelCheck& cancel) const {
  if (tokens.size() > std::size_t{1} << 30) {
    throw_error(ErrorCode::kInvalidArgument, "a word of ", tokens.size(), " symbols is too long");
  }
  std::vector<Symbol> symbols = link(tokens);
  const auto at = [&](std::int32_t i) -> Symbol& { return symbols[static_cast<std::size_t>(i)]; };
  std::priority_queue<Candidate> queue;
  const auto offer = [&](std::int32_t position) {
    if (position == kNone || at(position).next == kNone) return;
    const Merge* merge = find(at(position).token, at(at(position).next).token);
    if (merge != nullptr) queue.push({merge->rank, position, merge->merged});
  };
  for (std::int32_t i = 0; i < static_cast<std::int32_t>(symbols.size()); ++i) {
    cancel.step();
    offer(i);
  }
  while (!queue.empty()) {
    cancel.step();
    const Candidate top = queue.top();
    queue.pop();
    Symbol& left = at(top.position);
    if (left.token == kNone || left.next == kNone) continue;
    Symbol& right = at(left.next);
    const Merge* merge = find(left.token, right.token);
    if (merge == nullptr || merge->merged != top.merged) continue;  // outdated by another merge
    left.token = top.merged;
    left.next = right.next;
    right.token = kNone;
    if (left.next != kNone) at(left.next).previous = top.position;
    offer(left.previous);
    offer(top.position);
  }
  tokens.clear();
  for (const Symbol& symbol : symbols) {
    if (symbol.token != kNone) tokens.push_back(symbol.token);
  }
}

}  // namespace helix
