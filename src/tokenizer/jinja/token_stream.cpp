#include "tokenizer/jinja/token_stream.h"

#include "base/message.h"

namespace helix::jinja {
namespace {

constexpr int kMaxNesting = 100;

}  // namespace

void TokenStream::enter() {
  if (depth_ >= kMaxNesting) unsupported("nesting this deep");
  ++depth_;
}

void TokenStream::expect_operator(std::string_view text) {
  if (!skip_operator(text)) {
    fail(concat("expected '", text, "', found '", current().text, "'"));
  }
}

void TokenStream::expect(Token::Kind kind, std::string_view what) {
  if (!is(kind)) fail(concat("expected ", what, ", found '", current().text, "'"));
  next();
}

std::string TokenStream::expect_name(std::string_view what) {
  if (!is(Token::Kind::kName)) fail(concat("expected ", what, ", found '", current().text, "'"));
  return next().text;
}

void TokenStream::fail(std::string_view what) const {
  throw_error(ErrorCode::kCorruptData, name_, ", line ", current().line, ": ", what);
}

void TokenStream::unsupported(std::string_view what) const {
  throw_error(ErrorCode::kUnsupported, name_, ", line ", current().line, ": ", what,
              " is not supported");
}

}  // namespace helix::jinja
