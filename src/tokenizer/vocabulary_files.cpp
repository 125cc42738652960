#include "tokenizer/vocabulary_files.h"

#include "base/file.h"
#include "base/message.h"

namespace helix {
namespace {

constexpr const char* kQwen2Expression =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr const char* kEndOfText = "<|endoftext|>";

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

void set_qwen2_rules(SortedJson& tokenizer, bool add_prefix_space) {
  const SortedJson split = {{"type", "Split"},
                            {"pattern", {{"Regex", kQwen2Expression}}},
                            {"behavior", "Isolated"},
                            {"invert", false}};
  tokenizer["normalizer"] = {{"type", "NFC"}};
  tokenizer["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers", SortedJson::array({split, byte_level(false, add_prefix_space)})}};
}

bool is_class(const std::string& name, std::string_view base) {
  return name == base || name == std::string(base) + "Fast";
}

// "<|endoftext|>", special in every vocabulary that has it.
SortedJson special_tokens(const Vocabulary& vocabulary) {
  SortedJson result = SortedJson::array();
  if (const auto id = vocabulary.find(kEndOfText)) {
    result.push_back({{"id", *id}, {"content", kEndOfText}, {"special", true}});
  }
  return result;
}

// What add_bos_token and add_eos_token put around a text.
SortedJson frame(const Vocabulary& vocabulary, const TokenizerSettings& settings,
                 const std::string& file) {
  SortedJson parts = SortedJson::array();
  SortedJson ids = SortedJson::object();
  AddedTokens added;
  for (const AddedToken& token : settings.added_tokens) added.add(token, vocabulary, file);
  const auto add = [&](const char* role, const char* default_token) {
    const auto entry = settings.special_tokens.find(role);
    const std::string token =
        entry == settings.special_tokens.end() ? default_token : entry->second.content;
    const AddedToken* known = added.find(token);
    const auto id = known != nullptr ? std::optional(known->id) : vocabulary.find(token);
    if (!id) return;
    parts.push_back({{"SpecialToken", {{"id", role}}}});
    ids[role] = {{"ids", SortedJson::array({*id})}};
  };
  const bool is_qwen2 = is_class(settings.tokenizer_class, "Qwen2Tokenizer");
  if (settings.add_bos.value_or(false)) add("bos_token", is_qwen2 ? "" : kEndOfText);
  parts.push_back({{"Sequence", {{"id", "A"}}}});
  if (settings.add_eos.value_or(false)) add("eos_token", kEndOfText);
  return {{"type", "TemplateProcessing"}, {"single", parts}, {"special_tokens", ids}};
}

}  // namespace

TokenizerJson read_vocabulary_and_merges(const std::filesystem::path& folder,
                                         const TokenizerSettings& settings) {
  const std::string& tokenizer_class = settings.tokenizer_class;
  const std::string file = (folder / "vocab.json").string();
  SortedJson tokenizer = {{"decoder", {{"type", "ByteLevel"}}}};
  if (is_class(tokenizer_class, "Qwen2Tokenizer")) {
    set_qwen2_rules(tokenizer, settings.add_prefix_space);
  } else if (tokenizer_class.empty() || is_class(tokenizer_class, "GPT2Tokenizer")) {
    tokenizer["pre_tokenizer"] = byte_level(true, settings.add_prefix_space);
  } else {
    throw_error(ErrorCode::kUnsupported, file, ": tokenizer class ", tokenizer_class,
                " without tokenizer.json (known: GPT2Tokenizer, Qwen2Tokenizer)");
  }
  TokenTables tables = {parse_vocabulary_json(read_file(folder / "vocab.json"), file),
                        read_merges(folder / "merges.txt")};
  tokenizer["added_tokens"] = special_tokens(tables.vocabulary);
  tokenizer["post_processor"] = frame(tables.vocabulary, settings, file);
  tokenizer["model"] = {
      {"type", "BPE"}, {"vocab", SortedJson::object()}, {"merges", SortedJson::array()}};
  return {std::move(tokenizer), std::move(tables)};
}

}  // namespace helix
