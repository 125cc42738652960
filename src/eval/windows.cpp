#include "eval/windows.h"

#include <algorithm>

#include "base/message.h"

namespace helix {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

void add_document(std::string_view part, const Tokenizer& tokenizer, const EvaluateOptions& options,
                  ScoredText& text) {
  part = trimmed(part);
  if (part.empty()) return;
  std::vector<std::int32_t> tokens = tokenizer.encode(part, true, options.hooks);
  tokens.resize(std::min(tokens.size(), options.window));
  const std::size_t begin = text.tokens.size();
  text.tokens.insert(text.tokens.end(), tokens.begin(), tokens.end());
  if (tokens.size() > 1) text.windows.push_back({begin, text.tokens.size(), 1});
}

ScoredText split_documents(std::string_view text, const Tokenizer& tokenizer,
                           const EvaluateOptions& options) {
  if (options.separator.empty()) {
    throw_error(ErrorCode::kInvalidArgument, "the separator of documents is empty");
  }
  ScoredText result;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(options.separator), text.size());
    add_document(text.substr(0, end), tokenizer, options, result);
    text.remove_prefix(std::min(text.size(), end + options.separator.size()));
  }
  return result;
}

}  // namespace

const char* protocol_name(EvaluationProtocol protocol) noexcept {
  switch (protocol) {
    case EvaluationProtocol::kCard: return "card";
    case EvaluationProtocol::kFast: return "fast";
    case EvaluationProtocol::kDocuments: return "documents";
  }
  return "";
}

std::uint64_t ScoredText::scored_tokens() const {
  std::uint64_t count = 0;
  for (const Window& window : windows) count += window.end - window.begin - window.first_scored;
  return count;
}

std::uint64_t ScoredText::computed_tokens() const {
  std::uint64_t count = 0;
  for (const Window& window : windows) count += window.end - window.begin;
  return count;
}

std::vector<Window> overlapping_windows(std::size_t token_count, std::size_t window,
                                        std::size_t stride) {
  std::vector<Window> windows;
  std::size_t scored_to = 1;  // nothing comes before the first token
  for (std::size_t begin = 0; scored_to < token_count; begin += stride) {
    const std::size_t end = std::min(begin + window, token_count);
    windows.push_back({begin, end, scored_to - begin});
    scored_to = end;
  }
  return windows;
}

std::vector<Window> separate_windows(std::size_t token_count, std::size_t window) {
  std::vector<Window> windows;
  for (std::size_t begin = 0; begin + 1 < token_count; begin += window) {
    windows.push_back({begin, std::min(begin + window, token_count), 1});
  }
  return windows;
}

ScoredText plan_evaluation(std::string_view text, const Tokenizer& tokenizer,
                           const EvaluateOptions& options) {
  if (options.window < 2) {
    throw_error(ErrorCode::kInvalidArgument, "a window of ", options.window,
                " tokens, expected 2 or more");
  }
  const bool card = options.protocol == EvaluationProtocol::kCard;
  if (card && (options.stride == 0 || options.stride >= options.window)) {
    throw_error(ErrorCode::kInvalidArgument, "a stride of ", options.stride,
                " tokens, expected 1 up to less than the window of ", options.window);
  }
  ScoredText result;
  if (options.protocol == EvaluationProtocol::kDocuments) {
    result = split_documents(text, tokenizer, options);
  } else {
    result.tokens = tokenizer.encode(text, true, options.hooks);
    if (options.max_tokens != 0 && options.max_tokens < result.tokens.size()) {
      result.tokens.resize(options.max_tokens);
    }
    result.windows = card
                         ? overlapping_windows(result.tokens.size(), options.window, options.stride)
                         : separate_windows(result.tokens.size(), options.window);
  }
  if (result.windows.empty()) {
    throw_error(ErrorCode::kInvalidArgument, "the text has ", result.tokens.size(),
                " tokens, too few to score any");
  }
  return result;
}

}  // namespace helix
