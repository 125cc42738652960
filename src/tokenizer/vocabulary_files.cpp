#include "tokenizer/vocabulary_files.h"

#include "base/file.h"
#include "base/message.h"

namespace helix {
namespace {

constexpr const char* kQwen2Expression =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

SortedJson read_merges(const std::filesystem::path& path) {
  const std::string text = read_file(path);
  SortedJson merges = SortedJson::array();
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line(text.data() + begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    const bool version = begin == 0 && line.starts_with("#version");
    if (!line.empty() && !version) merges.push_back(line);
    begin = end + 1;
  }
  return merges;
}

SortedJson byte_level(bool use_regex, bool add_prefix_space) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", add_prefix_space},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

void set_qwen2_rules(SortedJson& tokenizer) {
  const SortedJson split = {{"type", "Split"},
                            {"pattern", {{"Regex", kQwen2Expression}}},
                            {"behavior", "Isolated"},
                            {"invert", false}};
  tokenizer["normalizer"] = {{"type", "NFC"}};
  tokenizer["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers", SortedJson::array({split, byte_level(false, false)})}};
}

bool is_class(const std::string& name, std::string_view base) {
  return name == base || name == std::string(base) + "Fast";
}

// "<|endoftext|>" is a token of its own even where no file says so.
SortedJson end_of_text(const SortedJson& vocabulary) {
  constexpr const char* kEndOfText = "<|endoftext|>";
  const auto entry = vocabulary.find(kEndOfText);
  if (entry == vocabulary.end()) return SortedJson::array();
  return SortedJson::array({{{"id", *entry}, {"content", kEndOfText}, {"special", true}}});
}

}  // namespace

SortedJson read_vocabulary_and_merges(const std::filesystem::path& folder,
                                      const std::string& tokenizer_class, bool add_prefix_space) {
  const std::string file = (folder / "vocab.json").string();
  SortedJson tokenizer = {{"decoder", {{"type", "ByteLevel"}}}};
  if (is_class(tokenizer_class, "Qwen2Tokenizer")) {
    set_qwen2_rules(tokenizer);
  } else if (tokenizer_class.empty() || is_class(tokenizer_class, "GPT2Tokenizer")) {
    tokenizer["pre_tokenizer"] = byte_level(true, add_prefix_space);
  } else {
    throw_error(ErrorCode::kUnsupported, file, ": tokenizer class ", tokenizer_class,
                " without tokenizer.json (known: GPT2Tokenizer, Qwen2Tokenizer)");
  }
  SortedJson vocabulary = parse_sorted_json(read_file(folder / "vocab.json"), file);
  if (!vocabulary.is_object()) throw_error(ErrorCode::kCorruptData, file, ": not an object");
  tokenizer["added_tokens"] = end_of_text(vocabulary);
  tokenizer["model"] = {{"type", "BPE"}};
  tokenizer["model"]["vocab"] = std::move(vocabulary);
  tokenizer["model"]["merges"] = read_merges(folder / "merges.txt");
  return tokenizer;
}

}  // namespace helix
