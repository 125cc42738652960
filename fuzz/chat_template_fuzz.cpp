// Any template ends, within the interpreter's limits, with text or an Error.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "helix/error.h"
#include "tokenizer/chat_template.h"

namespace {

const helix::Json& variables() {
  static const helix::Json instance = helix::Json::parse(R"({
      "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "héllo 日本"},
                   {"role": "assistant", "content": null, "tool_calls": [{"name": "f", "x": 1.5}]}],
      "tools": null, "documents": null, "add_generation_prompt": true,
      "bos_token": "<s>", "eos_token": "</s>"})");
  return instance;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const helix::ChatTemplate chat({reinterpret_cast<const char*>(data), size}, "fuzz");
    chat.render(variables());
  } catch (const helix::Error&) {
  }
  return 0;
}
