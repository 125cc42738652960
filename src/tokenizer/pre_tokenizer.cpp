#include "tokenizer/pre_tokenizer.h"

#include "tokenizer/byte_level.h"
#include "tokenizer/metaspace.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/split_pre_tokenizer.h"
#include "tokenizer/unicode.h"
#include "tokenizer/utf8.h"

namespace helix {
namespace {

using PreTokenizerPointer = std::unique_ptr<PreTokenizer>;

// GPT-2's expression for words.
constexpr const char* kByteLevelExpression =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
// "\w+|[^\w\s]+" to Rust's regular expressions, whose \w has the joiners too.
constexpr const char* kWhitespaceExpression = R"([\w\x{200C}\x{200D}]+|[^\w\x{200C}\x{200D}\s]+)";

PreTokenizerPointer make_pattern_split(Pattern pattern, SplitBehavior behavior, bool invert) {
  return make_split(
      [pattern = std::move(pattern)](std::string_view text, const auto& found) {
        pattern.for_each_match(text, found);
      },
      behavior, invert);
}

class ByteLevelPreTokenizer : public PreTokenizer {
 public:
  explicit ByteLevelPreTokenizer(const Component& component)
      : add_prefix_space_(component.flag("add_prefix_space", true)) {
    if (component.flag("use_regex", true)) {
      words_ = make_pattern_split(Pattern::regex(kByteLevelExpression, component.where()),
                                  SplitBehavior::kIsolated, false);
    }
  }

  void split(std::string_view text, bool at_start, const Sink& sink,
             CancelCheck& cancel) const override {
    std::string prefixed;
    if (add_prefix_space_ && !text.starts_with(' ')) {
      prefixed = " ";
      prefixed += text;
      text = prefixed;
    }
    const Sink encode = [&](std::string_view piece, bool piece_at_start) {
      sink(bytes_to_characters(piece), piece_at_start);
    };
    if (words_) {
      words_->split(text, at_start, encode, cancel);
    } else {
      encode(text, at_start);
    }
  }

 private:
  bool add_prefix_space_;
  PreTokenizerPointer words_;  // null: the text stays whole
};

class SequencePreTokenizer : public PreTokenizer {
 public:
  explicit SequencePreTokenizer(std::vector<PreTokenizerPointer> steps)
      : steps_(std::move(steps)) {}

  void split(std::string_view text, bool at_start, const Sink& sink,
             CancelCheck& cancel) const override {
    split_from(0, text, at_start, sink, cancel);
  }

 private:
  void split_from(std::size_t step, std::string_view text, bool at_start, const Sink& sink,
                  CancelCheck& cancel) const {
    if (step == steps_.size()) {
      if (!text.empty()) sink(text, at_start);
      return;
    }
    const Sink next = [&](std::string_view piece, bool piece_at_start) {
      split_from(step + 1, piece, piece_at_start, sink, cancel);
    };
    steps_[step]->split(text, at_start, next, cancel);
  }

  std::vector<PreTokenizerPointer> steps_;
};

SplitBehavior behavior_of(const Component& component, std::string_view fallback) {
  const std::string name = component.text("behavior", fallback);
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  component.unsupported("split behavior \"" + name + "\"");
}

bool is_punctuation_or_symbol(char32_t c) {
  const bool ascii = (c >= 0x21 && c <= 0x2F) || (c >= 0x3A && c <= 0x40) ||
                     (c >= 0x5B && c <= 0x60) || (c >= 0x7B && c <= 0x7E);
  return ascii || is_punctuation(c);
}

PreTokenizerPointer sequence_of(PreTokenizerPointer first, PreTokenizerPointer second) {
  std::vector<PreTokenizerPointer> steps;
  steps.push_back(std::move(first));
  steps.push_back(std::move(second));
  return std::make_unique<SequencePreTokenizer>(std::move(steps));
}

PreTokenizerPointer make_delimiter_split(const Component& component) {
  const std::u32string delimiter = code_points(component.text("delimiter"));
  if (delimiter.size() != 1) component.corrupt("the delimiter is not one character");
  return make_character_split([c = delimiter[0]](char32_t other) { return other == c; },
                              SplitBehavior::kRemoved);
}

PreTokenizerPointer make_sequence(const Component& component) {
  std::vector<PreTokenizerPointer> steps;
  for (const Component& step : component.list("pretokenizers")) {
    steps.push_back(make_pre_tokenizer(step.json(), step.where()));
  }
  return std::make_unique<SequencePreTokenizer>(std::move(steps));
}

PreTokenizerPointer make_digits(const Component& component) {
  return make_character_split(is_numeric, component.flag("individual_digits", false)
                                              ? SplitBehavior::kIsolated
                                              : SplitBehavior::kContiguous);
}

PreTokenizerPointer make_bert() {
  return sequence_of(make_character_split(is_whitespace, SplitBehavior::kRemoved),
                     make_character_split(is_punctuation_or_symbol, SplitBehavior::kIsolated));
}

}  // namespace

std::unique_ptr<PreTokenizer> make_pre_tokenizer(const SortedJson& json, const std::string& where) {
  if (json.is_null()) return nullptr;
  const Component component(json, where);
  const std::string type = component.type();
  if (type == "Sequence") return make_sequence(component);
  if (type == "ByteLevel") return std::make_unique<ByteLevelPreTokenizer>(component);
  if (type == "Metaspace") return make_metaspace_pre_tokenizer(component);
  if (type == "Digits") return make_digits(component);
  if (type == "BertPreTokenizer") return make_bert();
  if (type == "CharDelimiterSplit") return make_delimiter_split(component);
  if (type == "WhitespaceSplit") {
    return make_character_split(is_whitespace, SplitBehavior::kRemoved);
  }
  if (type == "Whitespace") {
    return make_pattern_split(Pattern::regex(kWhitespaceExpression, where), SplitBehavior::kRemoved,
                              true);
  }
  if (type == "Punctuation") {
    return make_character_split(is_punctuation_or_symbol, behavior_of(component, "Isolated"));
  }
  if (type == "Split") {
    return make_pattern_split(make_pattern(component), behavior_of(component, "Isolated"),
                              component.flag("invert", false));
  }
  component.unsupported("pre-tokenizer \"" + type + "\"");
}

}  // namespace helix
