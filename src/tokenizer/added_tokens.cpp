#include "tokenizer/added_tokens.h"

#include <algorithm>

#include "base/message.h"
#include "tokenizer/unicode.h"
#include "tokenizer/utf8.h"

namespace helix {
namespace {

constexpr std::size_t kMaxAddedTokenBytes = 4096;

bool ends_with_word(std::string_view text) {
  return !text.empty() && is_word(last_code_point(text));
}

bool starts_with_word(std::string_view text) {
  std::size_t offset = 0;
  return !text.empty() && is_word(next_code_point(text, offset));
}

}  // namespace

AddedToken AddedToken::read(const Component& component, TokenId id) {
  AddedToken token;
  token.content = component.text("content");
  token.id = id;
  token.special = component.flag("special", false);
  token.single_word = component.flag("single_word", false);
  token.lstrip = component.flag("lstrip", false);
  token.rstrip = component.flag("rstrip", false);
  token.normalized = component.flag("normalized", !token.special);
  if (token.content.size() > kMaxAddedTokenBytes) {
    component.unsupported("an added token of " + std::to_string(token.content.size()) + " bytes");
  }
  return token;
}

void AddedTokens::add(AddedToken token) {
  if (token.content.empty()) return;
  const auto [entry, is_new] = by_content_.try_emplace(token.content, tokens_.size());
  if (is_new) {
    by_id_[token.id] = tokens_.size();
    id_limit_ = std::max(id_limit_, token.id + 1);
    tokens_.push_back(std::move(token));
  } else {
    AddedToken& first = tokens_[entry->second];
    token.id = first.id;
    token.special |= first.special;
    first = std::move(token);
  }
}

void AddedTokens::add(AddedToken token, const Vocabulary& vocabulary, std::string_view where) {
  if (const auto id = vocabulary.find(token.content)) {
    token.id = *id;
  } else if (find(token.content) == nullptr) {
    token.id = new_id(token, vocabulary, where);
  }
  add(std::move(token));
}

TokenId AddedTokens::new_id(const AddedToken& token, const Vocabulary& vocabulary,
                            std::string_view where) const {
  const TokenId next = std::max(id_limit_, static_cast<TokenId>(vocabulary.size()));
  for (const TokenId id : {token.id, next}) {
    const AddedToken* added = find(id);
    const std::string* other = added != nullptr ? &added->content : vocabulary.token(id);
    if (other == nullptr) continue;
    throw_error(ErrorCode::kCorruptData, where, ": the added token \"", token.content,
                "\" cannot have id ", id, ", which is that of \"", *other, "\"");
  }
  return next;
}

void AddedTokens::prepare(const Normalizer* normalizer) {
  const Hooks no_hooks;
  CancelCheck cancel(no_hooks);
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    AddedToken& token = tokens_[i];
    const bool rewritten = token.normalized && normalizer != nullptr;
    token.written = rewritten ? normalizer->apply(token.content, cancel) : token.content;
    (token.normalized ? normalized_ : raw_).add(token.written, i);
  }
}

const AddedToken* AddedTokens::find(std::string_view content) const {
  const auto entry = by_content_.find(content);
  return entry == by_content_.end() ? nullptr : &tokens_[entry->second];
}

const AddedToken* AddedTokens::find(TokenId id) const {
  const auto entry = by_id_.find(id);
  return entry == by_id_.end() ? nullptr : &tokens_[entry->second];
}

void AddedTokens::split_raw(std::string_view text, const Sink& sink, CancelCheck& cancel) const {
  split(raw_, text, true, sink, cancel);
}

void AddedTokens::split_normalized(std::string_view text, bool at_start, const Sink& sink,
                                   CancelCheck& cancel) const {
  split(normalized_, text, at_start, sink, cancel);
}

void AddedTokens::split(const TokenMatcher& matcher, std::string_view text, bool at_start,
                        const Sink& sink, CancelCheck& cancel) const {
  std::size_t done = 0;
  std::size_t space_end = 0;  // of the whitespace that the last rstrip token took
  const auto emit_text = [&](std::size_t begin, std::size_t end) {
    if (begin < end) sink.text(text.substr(begin, end - begin), at_start && begin == 0);
  };
  matcher.for_each_match(text, cancel, [&](const TokenMatcher::Match& match) {
    const AddedToken& token = tokens_[match.number];
    std::size_t begin = match.begin;
    std::size_t end = match.end;
    if (token.single_word &&
        (ends_with_word(text.substr(0, begin)) || starts_with_word(text.substr(end)))) {
      return;
    }
    if (token.lstrip) {
      begin = std::max(begin, done);
      begin = done + trim_whitespace_right(text.substr(done, begin - done)).size();
    }
    if (token.rstrip) {
      space_end = std::max(end, space_end);
      space_end = text.size() - trim_whitespace_left(text.substr(space_end)).size();
      end = space_end;
    }
    if (begin >= end) return;  // went with the token before
    emit_text(done, begin);
    sink.token(token.id);
    done = end;  // may go back: whitespace taken by the token before comes again behind this one
  });
  emit_text(done, text.size());
}

}  // namespace helix
