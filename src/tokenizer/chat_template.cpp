#include "tokenizer/chat_template.h"

#include "base/message.h"

namespace helix {

struct ChatTemplate::State {};

ChatTemplate::ChatTemplate(std::string_view, std::string name) {
  throw_error(ErrorCode::kUnsupported, name, ": chat templates");
}
ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
std::string ChatTemplate::render(const Json&) const { return ""; }

}  // namespace helix
