#include "tokenizer/stream_decoder.h"

#include <algorithm>

#include "tokenizer/utf8.h"

namespace helix {
namespace {

constexpr std::size_t kContextIds = 8;

}  // namespace

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool skip_special_tokens,
                             std::span<const TokenId> context)
    : tokenizer_(&tokenizer), skip_special_tokens_(skip_special_tokens) {
  for (const TokenId id : context.last(std::min(context.size(), kContextIds))) {
    if (!skip_special_tokens || !tokenizer.is_special(id)) window_.push_back(id);
  }
  settled_ids_ = window_.size();
  sent_bytes_ = text_of(window_).size();
}

std::string StreamDecoder::text_of(std::span<const TokenId> ids) const {
  return tokenizer_->backend().decode(ids, skip_special_tokens_, InvalidBytes::kKeep);
}

std::string StreamDecoder::push(TokenId id) {
  const bool silent = (skip_special_tokens_ && tokenizer_->is_special(id)) ||
                      !tokenizer_->id_to_token(id).has_value();
  if (silent) return "";
  window_.push_back(id);
  const std::string text = text_of(window_);
  const std::size_t end = text.size() - incomplete_suffix_bytes(text);
  if (end <= sent_bytes_) return "";
  const std::string part = text.substr(sent_bytes_, end - sent_bytes_);
  // What came before this push's ids no longer matters. A character that has only begun began in
  // the last of them: those before it are out.
  window_.erase(window_.begin(), window_.begin() + static_cast<std::ptrdiff_t>(settled_ids_));
  const std::size_t held_back = text.size() - end;
  settled_ids_ = window_.size() - (held_back > 0 ? 1 : 0);
  const std::size_t size = text_of(window_).size();
  sent_bytes_ = size - std::min(held_back, size);
  return replace_invalid_utf8(part);
}

std::string StreamDecoder::finish() {
  const std::string text = text_of(window_);
  const std::string rest = text.substr(std::min(sent_bytes_, text.size()));
  // Where every byte held back is an id of its own, how they read is the decoder's affair.
  const auto last = std::span<const TokenId>(window_).last(std::min(rest.size(), window_.size()));
  std::string result =
      text_of(last) == rest
          ? tokenizer_->backend().decode(last, skip_special_tokens_, InvalidBytes::kReplace)
          : replace_invalid_utf8(rest);
  window_.clear();
  settled_ids_ = 0;
  sent_bytes_ = 0;
  return result;
}

}  // namespace helix
