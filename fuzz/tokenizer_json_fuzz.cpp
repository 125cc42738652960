// A tokenizer.json and a text: building ends with a tokenizer or an Error, and what it encodes to
// can be decoded. The input is the JSON, a NUL and the text.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "helix/error.h"
#include "tokenizer/token_pipeline.h"
#include "tokenizer/utf8.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = input.find('\0');
  const std::string_view text = cut == input.npos ? "Hello  world" : input.substr(cut + 1);
  try {
    const auto tokenizer = helix::make_token_pipeline(
        helix::parse_tokenizer_json(input.substr(0, cut), "fuzz"), "fuzz", {});
    helix::require_utf8(text, "text");
    const auto ids = tokenizer->encode(text, true, {});
    const std::string decoded = tokenizer->decode(ids, false, helix::InvalidBytes::kReplace);
    helix::require_utf8(decoded, "decoded text");
    tokenizer->decode(ids, true, helix::InvalidBytes::kKeep);
  } catch (const helix::Error&) {
  }
  return 0;
}
