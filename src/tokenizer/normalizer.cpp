#include "tokenizer/normalizer.h"

#include <functional>

#include "tokenizer/bert_normalizer.h"
#include "tokenizer/byte_level.h"
#include "tokenizer/unicode.h"
#include "tokenizer/utf8.h"

namespace helix {
namespace {

// Most normalizers are one function.
class FunctionNormalizer : public Normalizer {
 public:
  using Function = std::function<std::string(std::string, CancelCheck&)>;
  explicit FunctionNormalizer(Function function) : function_(std::move(function)) {}
  std::string apply(std::string text, CancelCheck& cancel) const override {
    return function_(std::move(text), cancel);
  }

 private:
  Function function_;
};

class SequenceNormalizer : public Normalizer {
 public:
  explicit SequenceNormalizer(std::vector<std::unique_ptr<Normalizer>> steps)
      : steps_(std::move(steps)) {}
  std::string apply(std::string text, CancelCheck& cancel) const override {
    for (const auto& step : steps_) text = step->apply(std::move(text), cancel);
    return text;
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> steps_;
};

std::string strip_accents(std::string_view text, CancelCheck& cancel) {
  std::string result;
  for (std::size_t offset = 0; offset < text.size();) {
    cancel.step();
    const char32_t c = next_code_point(text, offset);
    if (!is_mark(c)) append_code_point(result, c);
  }
  return result;
}

FunctionNormalizer::Function normal_form(NormalForm form) {
  return [form](const std::string& text, CancelCheck& cancel) {
    return normalize(text, form, cancel);
  };
}

FunctionNormalizer::Function prepend(const Component& component) {
  return [prefix = component.text("prepend")](const std::string& text, CancelCheck&) {
    return text.empty() ? text : prefix + text;
  };
}

FunctionNormalizer::Function replace(const Component& component) {
  return [pattern = make_pattern(component), content = component.text("content")](
             const std::string& text, CancelCheck& cancel) {
    return pattern.replace_all(text, content, &cancel);
  };
}

FunctionNormalizer::Function strip(const Component& component) {
  return [left = component.flag("strip_left", true), right = component.flag("strip_right", true)](
             const std::string& text, CancelCheck&) {
    std::string_view rest = text;
    if (left) rest = trim_whitespace_left(rest);
    if (right) rest = trim_whitespace_right(rest);
    return std::string(rest);
  };
}

FunctionNormalizer::Function bert(const Component& component) {
  BertNormalization options;
  options.clean_text = component.flag("clean_text", true);
  options.space_chinese_characters = component.flag("handle_chinese_chars", true);
  options.lowercase = component.flag("lowercase", true);
  options.strip_accents = component.flag("strip_accents", options.lowercase);
  return [options](const std::string& text, CancelCheck& cancel) {
    return normalize_bert(text, options, cancel);
  };
}

FunctionNormalizer::Function function_of(const Component& component) {
  const std::string type = component.type();
  if (type == "NFC") return normal_form(NormalForm::kNfc);
  if (type == "NFD") return normal_form(NormalForm::kNfd);
  if (type == "NFKC") return normal_form(NormalForm::kNfkc);
  if (type == "NFKD") return normal_form(NormalForm::kNfkd);
  if (type == "Lowercase") return to_lowercase;
  if (type == "StripAccents") return strip_accents;
  if (type == "ByteLevel")
    return [](const std::string& text, CancelCheck&) { return bytes_to_characters(text); };
  if (type == "Prepend") return prepend(component);
  if (type == "Replace") return replace(component);
  if (type == "Strip") return strip(component);
  if (type == "BertNormalizer") return bert(component);
  component.unsupported("normalizer \"" + type + "\"");
}

}  // namespace

Pattern make_pattern(const Component& component) {
  const Component pattern = component.member("pattern");
  if (pattern.has("String")) return Pattern::literal(pattern.text("String"));
  return Pattern::regex(pattern.text("Regex"), pattern.where());
}

std::unique_ptr<Normalizer> make_normalizer(const SortedJson& json, const std::string& where) {
  if (json.is_null()) return nullptr;
  const Component component(json, where);
  if (component.type() != "Sequence") {
    return std::make_unique<FunctionNormalizer>(function_of(component));
  }
  std::vector<std::unique_ptr<Normalizer>> steps;
  for (const Component& step : component.list("normalizers")) {
    steps.push_back(make_normalizer(step.json(), step.where()));
  }
  return std::make_unique<SequenceNormalizer>(std::move(steps));
}

}  // namespace helix
