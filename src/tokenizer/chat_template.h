#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/json.h"

namespace helix {

// A Jinja template as transformers renders it (trim_blocks, lstrip_blocks, loop controls,
// raise_exception, strftime_now, tojson without HTML escapes), interpreted within limits on steps,
// depth and memory, for templates come with models and are not trusted. Immutable; may be used from
// several threads.
class ChatTemplate {
 public:
  // Throws Error(kCorruptData) for broken syntax, kUnsupported for a construct that is not known,
  // both with `name` and the line.
  ChatTemplate(std::string_view source, std::string name);
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  // `variables` is an object: what the template sees. Throws Error(kInvalidArgument) where the
  // template refuses (raise_exception) or fails on the values, kUnsupported for what only shows
  // when run, and for a template that exceeds the limits.
  std::string render(const Json& variables) const;

 private:
  struct State;
  std::unique_ptr<const State> state_;
};

}  // namespace helix
