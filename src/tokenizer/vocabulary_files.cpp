#include "tokenizer/vocabulary_files.h"

#include "base/file.h"
#include "base/message.h"

namespace helix {
namespace {

constexpr const char* kQwen2Expression =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

void add_rule(std::string_view line, const std::filesystem::path& path, MergeTexts& merges) {
  const std::size_t space = line.find(' ');
  if (space == line.npos || line.find(' ', space + 1) != line.npos) {
    throw_error(ErrorCode::kCorruptData, path.string(), ": merge ", merges.size(), " is \"", line,
                "\", expected two tokens");
  }
  merges.add(line.substr(0, space), line.substr(space + 1));
}

MergeTexts read_merges(const std::filesystem::path& path) {
  const std::string text = read_file(path);
  MergeTexts merges;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line(text.data() + begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    const bool version = begin == 0 && line.starts_with("#version");
    if (!line.empty() && !version) add_rule(line, path, merges);
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
SortedJson end_of_text(const Vocabulary& vocabulary) {
  constexpr const char* kEndOfText = "<|endoftext|>";
  const auto id = vocabulary.find(kEndOfText);
  if (!id) return SortedJson::array();
  return SortedJson::array({{{"id", *id}, {"content", kEndOfText}, {"special", true}}});
}

}  // namespace

TokenizerJson read_vocabulary_and_merges(const std::filesystem::path& folder,
                                         const std::string& tokenizer_class,
                                         bool add_prefix_space) {
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
  TokenTables tables = {parse_vocabulary_json(read_file(folder / "vocab.json"), file),
                        read_merges(folder / "merges.txt")};
  tokenizer["added_tokens"] = end_of_text(tables.vocabulary);
  tokenizer["model"] = {
      {"type", "BPE"}, {"vocab", SortedJson::object()}, {"merges", SortedJson::array()}};
  return {std::move(tokenizer), std::move(tables)};
}

}  // namespace helix
