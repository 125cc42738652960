#include "tokenizer/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <optional>

#include "base/message.h"
#include "tokenizer/utf8.h"

namespace helix {
namespace {

// Backtracking steps for one match; a well-meant expression needs a few per byte of text.
constexpr std::uint32_t kMatchLimit = 400'000'000;
constexpr std::uint32_t kHeapKibibytes = 2U << 20;
constexpr std::size_t kJitStackBytes = std::size_t{8} << 20;

template <auto kFree>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};

using Code = std::unique_ptr<pcre2_code, Deleter<pcre2_code_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Deleter<pcre2_match_data_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Deleter<pcre2_match_context_free>>;
using JitStack = std::unique_ptr<pcre2_jit_stack, Deleter<pcre2_jit_stack_free>>;

// What matching writes to: one per thread, for every expression.
struct Workspace {
  MatchData data{pcre2_match_data_create(1, nullptr)};
  MatchContext context{pcre2_match_context_create(nullptr)};
  JitStack stack{pcre2_jit_stack_create(std::size_t{32} << 10, kJitStackBytes, nullptr)};

  Workspace() {
    if (!data || !context) throw std::bad_alloc();
    pcre2_set_match_limit(context.get(), kMatchLimit);
    pcre2_set_heap_limit(context.get(), kHeapKibibytes);
    if (stack) pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
  }
};

Workspace& workspace() {
  thread_local Workspace instance;
  return instance;
}

struct Match {
  std::size_t begin = 0;
  std::size_t end = 0;
};

std::string message_of(int code) {
  PCRE2_UCHAR text[256];
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

}  // namespace

struct Pattern::Compiled {
  Code code;
  std::string where;

  std::optional<Match> match(std::string_view text, std::size_t offset) const;
  void for_each_match(std::string_view text,
                      const std::function<void(std::size_t, std::size_t)>& found) const;
};

Pattern Pattern::literal(std::string text) {
  Pattern pattern;
  pattern.literal_ = std::move(text);
  return pattern;
}

Pattern Pattern::regex(std::string_view expression, std::string_view where) {
  const std::string translated = translate_oniguruma(expression, where);
  int error = 0;
  PCRE2_SIZE offset = 0;
  // In Ruby's syntax ^ and $ always match at lines.
  Code code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                          PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error,
                          &offset, nullptr));
  if (!code) {
    throw_error(ErrorCode::kUnsupported, where, ": regular expression \"", expression,
                "\" is not understood: ", message_of(error));
  }
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);  // without it matching is slower, no more
  auto compiled = std::make_shared<Compiled>();
  compiled->code = std::move(code);
  compiled->where = where;
  Pattern pattern;
  pattern.compiled_ = std::move(compiled);
  return pattern;
}

std::optional<Match> Pattern::Compiled::match(std::string_view text, std::size_t offset) const {
  const Workspace& work = workspace();
  pcre2_match_data* data = work.data.get();
  const auto run = [&](std::uint32_t options) {
    return pcre2_match(code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), offset,
                       PCRE2_NO_UTF_CHECK | options, data, work.context.get());
  };
  int count = run(0);
  MatchData interpreted;
  if (count == PCRE2_ERROR_JIT_STACKLIMIT) {
    // Slower, but its way back is on the heap: in data of its own, which is freed at once.
    interpreted.reset(pcre2_match_data_create(1, nullptr));
    if (!interpreted) throw std::bad_alloc();
    data = interpreted.get();
    count = run(PCRE2_NO_JIT);
  }
  if (count == PCRE2_ERROR_NOMATCH) return std::nullopt;
  if (count < 0) {
    throw_error(ErrorCode::kInvalidArgument, where,
                ": the regular expression gave up on this text: ", message_of(count));
  }
  const PCRE2_SIZE* range = pcre2_get_ovector_pointer(data);
  return Match{range[0], range[1]};
}

// The steps that Rust's binding to Oniguruma makes.
void Pattern::Compiled::for_each_match(
    std::string_view text, const std::function<void(std::size_t, std::size_t)>& found) const {
  if (text.empty()) return;
  std::size_t last_end = text.npos;
  for (std::size_t offset = 0; offset <= text.size();) {
    const auto range = match(text, offset);
    if (!range) return;
    if (range->begin == range->end && range->end == last_end) {
      if (offset == text.size()) return;
      next_code_point(text, offset);
    } else {
      found(range->begin, range->end);
      offset = last_end = range->end;
    }
  }
}

void Pattern::for_each_match(std::string_view text,
                             const std::function<void(std::size_t, std::size_t)>& found) const {
  if (compiled_) {
    compiled_->for_each_match(text, found);
    return;
  }
  if (literal_.empty()) return;
  for (std::size_t at = text.find(literal_); at != text.npos;
       at = text.find(literal_, at + literal_.size())) {
    found(at, at + literal_.size());
  }
}

std::string Pattern::replace_all(std::string_view text, std::string_view replacement,
                                 CancelCheck* cancel) const {
  std::string result;
  result.reserve(text.size());
  std::size_t copied = 0;
  for_each_match(text, [&](std::size_t begin, std::size_t end) {
    if (cancel != nullptr) cancel->step();
    result += text.substr(copied, begin - copied);
    result += replacement;
    copied = end;
  });
  result += text.substr(copied);
  return result;
}

}  // namespace helix
