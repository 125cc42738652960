#include "tokenizer/metaspace.h"

#include "tokenizer/pattern.h"
#include "tokenizer/split_pre_tokenizer.h"
#include "tokenizer/utf8.h"

namespace helix {
namespace {

Metaspace::Prepend prepend_of(const Component& component) {
  const std::string scheme = component.text("prepend_scheme", "always");
  const bool prefix_space = component.flag("add_prefix_space", true);
  if (scheme == "never" || !prefix_space) return Metaspace::Prepend::kNever;
  if (scheme == "always") return Metaspace::Prepend::kAlways;
  if (scheme == "first") return Metaspace::Prepend::kFirst;
  component.unsupported("prepend scheme \"" + scheme + "\"");
}

class MetaspacePreTokenizer : public PreTokenizer {
 public:
  explicit MetaspacePreTokenizer(const Component& component) : options_(component) {
    if (!options_.split) return;
    split_ = make_split(
        [mark = Pattern::literal(options_.replacement)](std::string_view text, const auto& found) {
          mark.for_each_match(text, found);
        },
        SplitBehavior::kMergedWithNext, false);
  }

  void split(std::string_view text, bool at_start, const Sink& sink,
             CancelCheck& cancel) const override {
    std::string marked = space_.replace_all(text, options_.replacement, &cancel);
    const bool wants_prefix = options_.prepend == Metaspace::Prepend::kAlways ||
                              (options_.prepend == Metaspace::Prepend::kFirst && at_start);
    if (wants_prefix && !marked.starts_with(options_.replacement)) {
      marked.insert(0, options_.replacement);
    }
    if (split_) {
      split_->split(marked, at_start, sink, cancel);
    } else if (!marked.empty()) {
      sink(marked, at_start);
    }
  }

 private:
  Metaspace options_;
  Pattern space_ = Pattern::literal(" ");
  std::unique_ptr<PreTokenizer> split_;
};

}  // namespace

Metaspace::Metaspace(const Component& component)
    : replacement(component.text("replacement", "\xE2\x96\x81")),
      prepend(prepend_of(component)),
      split(component.flag("split", true)) {
  if (code_points(replacement).size() != 1) {
    component.corrupt("the replacement is not one character");
  }
}

std::unique_ptr<PreTokenizer> make_metaspace_pre_tokenizer(const Component& component) {
  return std::make_unique<MetaspacePreTokenizer>(component);
}

}  // namespace helix
