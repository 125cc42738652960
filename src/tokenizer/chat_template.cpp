#include "tokenizer/chat_template.h"

#include "base/message.h"
#include "tokenizer/jinja/renderer.h"
#include "tokenizer/jinja/template_parser.h"
#include "tokenizer/utf8.h"

namespace helix {

struct ChatTemplate::State {
  std::string name;
  jinja::Body body;
};

ChatTemplate::ChatTemplate(std::string_view source, std::string name) {
  require_utf8(source, name);
  auto state = std::make_unique<State>();
  state->body = jinja::parse_template(source, name);
  state->name = std::move(name);
  state_ = std::move(state);
}

ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

std::string ChatTemplate::render(const Json& variables) const {
  jinja::Runtime runtime(state_->name);
  jinja::Scope root(nullptr);
  std::uint64_t input_bytes = 0;
  for (const auto& [name, value] : variables.items()) {
    root.set(name, jinja::from_json(value, input_bytes));
  }
  runtime.allow_input(input_bytes);
  return jinja::render(runtime, state_->body, root);
}

}  // namespace helix
