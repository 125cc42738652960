#include "tokenizer/token_decoder.h"

#include <charconv>
#include <functional>
#include <optional>

#include "tokenizer/byte_level.h"
#include "tokenizer/metaspace.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/utf8.h"

namespace helix {
namespace {

using Tokens = std::vector<std::string>;

class FunctionDecoder : public TokenDecoder {
 public:
  using Function = std::function<void(Tokens&, InvalidBytes)>;
  explicit FunctionDecoder(Function function) : function_(std::move(function)) {}
  void apply(Tokens& tokens, InvalidBytes invalid) const override { function_(tokens, invalid); }

 private:
  Function function_;
};

class SequenceDecoder : public TokenDecoder {
 public:
  explicit SequenceDecoder(std::vector<std::unique_ptr<TokenDecoder>> steps)
      : steps_(std::move(steps)) {}
  void apply(Tokens& tokens, InvalidBytes invalid) const override {
    for (const auto& step : steps_) step->apply(tokens, invalid);
  }

 private:
  std::vector<std::unique_ptr<TokenDecoder>> steps_;
};

void decode_byte_level(Tokens& tokens, InvalidBytes invalid) {
  std::string bytes;
  for (const std::string& token : tokens) append_characters_as_bytes(token, bytes);
  if (invalid == InvalidBytes::kReplace) bytes = replace_invalid_utf8(bytes);
  tokens.assign(1, bytes);
}

// The byte of "<0x0A>", nothing for another token.
std::optional<char> byte_of(const std::string& token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  unsigned value = 0;
  const auto [end, fault] = std::from_chars(token.data() + 3, token.data() + 5, value, 16);
  if (fault != std::errc() || end != token.data() + 5) return std::nullopt;
  return static_cast<char>(value);
}

bool is_utf8(std::string_view bytes) {
  for (std::size_t offset = 0; offset < bytes.size();) {
    const Utf8Step step = utf8_step(bytes, offset);
    if (step.kind != Utf8Step::Kind::kCharacter) return false;
    offset += step.length;
  }
  return true;
}

// A run of byte tokens is text where it is UTF-8 as a whole; otherwise every byte of it is U+FFFD.
void decode_byte_fallback(Tokens& tokens, InvalidBytes invalid) {
  Tokens result;
  std::string run;
  const auto finish_run = [&] {
    if (run.empty()) return;
    if (invalid == InvalidBytes::kKeep || is_utf8(run)) {
      result.push_back(run);
    } else {
      result.insert(result.end(), run.size(), "\xEF\xBF\xBD");
    }
    run.clear();
  };
  for (std::string& token : tokens) {
    if (const auto byte = byte_of(token)) {
      run += *byte;
    } else {
      finish_run();
      result.push_back(std::move(token));
    }
  }
  finish_run();
  tokens = std::move(result);
}

void fuse(Tokens& tokens, InvalidBytes) {
  std::string all;
  for (const std::string& token : tokens) all += token;
  tokens.assign(1, all);
}

FunctionDecoder::Function decode_metaspace(const Component& component) {
  const Metaspace options(component);
  return
      [mark = Pattern::literal(options.replacement),
       drop_first = options.prepend != Metaspace::Prepend::kNever](Tokens& tokens, InvalidBytes) {
        for (std::size_t i = 0; i < tokens.size(); ++i) {
          tokens[i] = mark.replace_all(tokens[i], i == 0 && drop_first ? "" : " ");
        }
      };
}

FunctionDecoder::Function decode_replace(const Component& component) {
  if (!component.member("pattern").has("String")) {
    // Tokens may hold bytes of half a character here, which an expression cannot read.
    component.unsupported("a decoder that replaces by regular expression");
  }
  return [pattern = make_pattern(component), content = component.text("content")](Tokens& tokens,
                                                                                  InvalidBytes) {
    for (std::string& token : tokens) token = pattern.replace_all(token, content);
  };
}

FunctionDecoder::Function decode_strip(const Component& component) {
  const std::string content = component.text("content", " ");
  const std::int64_t start = component.number("start", 0);
  const std::int64_t stop = component.number("stop", 0);
  if (content.empty()) component.corrupt("nothing to strip");
  return [content, start, stop](Tokens& tokens, InvalidBytes) {
    for (std::string& token : tokens) {
      std::string_view rest = token;
      for (std::int64_t i = 0; i < start && rest.starts_with(content); ++i) {
        rest.remove_prefix(content.size());
      }
      for (std::int64_t i = 0; i < stop && rest.ends_with(content); ++i) {
        rest.remove_suffix(content.size());
      }
      token = std::string(rest);
    }
  };
}

// Takes back the spaces that splitting at punctuation put in.
std::string clean_up(std::string text) {
  static constexpr const char* kReplacements[][2] = {
      {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
      {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
      {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : kReplacements) {
    text = Pattern::literal(from).replace_all(text, to);
  }
  return text;
}

FunctionDecoder::Function decode_word_piece(const Component& component) {
  return [prefix = component.text("prefix", "##"), cleanup = component.flag("cleanup", true)](
             Tokens& tokens, InvalidBytes) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (i > 0) {
        tokens[i] =
            tokens[i].starts_with(prefix) ? tokens[i].substr(prefix.size()) : " " + tokens[i];
      }
      if (cleanup) tokens[i] = clean_up(std::move(tokens[i]));
    }
  };
}

FunctionDecoder::Function decode_bpe(const Component& component) {
  return
      [suffix = Pattern::literal(component.text("suffix", "</w>"))](Tokens& tokens, InvalidBytes) {
        for (std::size_t i = 0; i < tokens.size(); ++i) {
          tokens[i] = suffix.replace_all(tokens[i], i + 1 == tokens.size() ? "" : " ");
        }
      };
}

FunctionDecoder::Function function_of(const Component& component) {
  const std::string type = component.type();
  if (type == "ByteLevel") return decode_byte_level;
  if (type == "ByteFallback") return decode_byte_fallback;
  if (type == "Fuse") return fuse;
  if (type == "Metaspace") return decode_metaspace(component);
  if (type == "Replace") return decode_replace(component);
  if (type == "Strip") return decode_strip(component);
  if (type == "WordPiece") return decode_word_piece(component);
  if (type == "BPEDecoder") return decode_bpe(component);
  component.unsupported("decoder \"" + type + "\"");
}

}  // namespace

std::unique_ptr<TokenDecoder> make_token_decoder(const SortedJson& json, const std::string& where) {
  if (json.is_null()) return nullptr;
  const Component component(json, where);
  if (component.type() != "Sequence") {
    return std::make_unique<FunctionDecoder>(function_of(component));
  }
  std::vector<std::unique_ptr<TokenDecoder>> steps;
  for (const Component& step : component.list("decoders")) {
    steps.push_back(make_token_decoder(step.json(), step.where()));
  }
  return std::make_unique<SequenceDecoder>(std::move(steps));
}

}  // namespace helix
