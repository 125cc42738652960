#include "tokenizer/sentence_piece.h"

#include <sentencepiece_processor.h>

#include <algorithm>

#include "base/message.h"
#include "tokenizer/character_map.h"
#include "tokenizer/text_cutter.h"

namespace helix {
namespace {

// Field 3 (normalizer_spec) with field 3 (add_dummy_prefix) = false. Appended to a serialized model
// it overrides that one flag: protocol buffers merge repeated messages.
constexpr std::string_view kNoDummyPrefix("\x1A\x02\x18\x00", 4);

// Llama's way back from pieces to text. How many spaces to strip is filled in.
constexpr const char* kDecoder = R"({"type": "Sequence", "decoders": [
    {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
    {"type": "ByteFallback"}, {"type": "Fuse"},
    {"type": "Strip", "content": " ", "start": 0, "stop": 0}]})";

using Processor = sentencepiece::SentencePieceProcessor;

void load(Processor& processor, const std::string& bytes, const std::string& file) {
  const auto status = processor.LoadFromSerializedProto(bytes);
  if (!status.ok()) {
    throw_error(ErrorCode::kCorruptData, file, ": not a SentencePiece model: ", status.ToString());
  }
}

class SentencePieceBackend : public TokenBackend {
 public:
  SentencePieceBackend(std::string bytes, const std::string& file, SentencePieceOptions options)
      : options_(std::move(options)) {
    check_character_maps(bytes, file);
    load(prefixing_, bytes, file);
    bytes += kNoDummyPrefix;
    load(plain_, bytes, file);
    for (TokenId id = 0; is_piece(id); ++id) pieces_.add(prefixing_.IdToPiece(id), id, file);
    add_tokens(file);
    decoder_ = make_decoder(file);
    cutter_ = TextCutter(plain_);
  }

  std::vector<TokenId> encode(std::string_view text, bool add_special_tokens,
                              const Hooks& hooks) const override {
    CancelCheck cancel(hooks);
    std::vector<TokenId> ids;
    if (add_special_tokens && options_.add_bos) append_if_known(prefixing_.bos_id(), ids);
    const AddedTokens::Sink pieces{
        [&](TokenId id) { ids.push_back(id); },
        [&](std::string_view part, bool at_start) { encode_part(part, at_start, ids, hooks); }};
    const AddedTokens::Sink raw{pieces.token, [&](std::string_view part, bool at_start) {
                                  added_.split_normalized(part, at_start, pieces, cancel);
                                }};
    added_.split_raw(text, raw, cancel);
    if (add_special_tokens && options_.add_eos) append_if_known(prefixing_.eos_id(), ids);
    return ids;
  }

  std::string decode(std::span<const TokenId> ids, bool skip_special_tokens,
                     InvalidBytes invalid) const override {
    std::vector<std::string> tokens;
    tokens.reserve(ids.size());
    for (const TokenId id : ids) {
      if (skip_special_tokens && is_special(id)) continue;
      if (auto token = id_to_token(id)) tokens.push_back(std::move(*token));
    }
    decoder_->apply(tokens, invalid);
    return tokens.empty() ? "" : std::move(tokens[0]);
  }

  std::optional<TokenId> token_to_id(std::string_view token) const override {
    if (const AddedToken* added = added_.find(token)) return added->id;
    return pieces_.find(token);
  }

  std::optional<std::string> id_to_token(TokenId id) const override {
    if (const AddedToken* added = added_.find(id)) return added->content;
    if (!is_piece(id)) return std::nullopt;
    return prefixing_.IdToPiece(id);
  }

  bool is_special(TokenId id) const override {
    if (const AddedToken* added = added_.find(id)) return added->special;
    return is_piece(id) && is_special_piece(id);
  }

  std::size_t id_limit() const override {
    return std::max(pieces_.id_limit(), static_cast<std::size_t>(added_.id_limit()));
  }

 private:
  bool is_piece(TokenId id) const { return id >= 0 && id < prefixing_.GetPieceSize(); }

  bool is_special_piece(TokenId id) const {
    return prefixing_.IsControl(id) || prefixing_.IsUnknown(id);
  }

  void add_tokens(const std::string& file) {
    for (const AddedToken& token : options_.added_tokens) {
      const bool renames = is_piece(token.id) && !pieces_.find(token.content);
      renames ? added_.add(token) : added_.add(token, pieces_, file);
    }
    AddedToken control;
    control.special = true;
    for (control.id = 0; is_piece(control.id); ++control.id) {
      control.content = prefixing_.IdToPiece(control.id);
      if (is_special_piece(control.id)) add_if_new(control);
    }
    for (AddedToken token : options_.special_tokens) {
      token.id = pieces_.find(token.content).value_or(-1);
      if (is_piece(token.id)) add_if_new(std::move(token));
    }
    added_.prepare(nullptr);
  }

  void add_if_new(AddedToken token) {
    if (added_.find(token.id) == nullptr && added_.find(token.content) == nullptr) {
      added_.add(std::move(token));
    }
  }

  // A space before a text goes where the model puts one of its own there, or behind the text.
  std::unique_ptr<TokenDecoder> make_decoder(const std::string& file) const {
    SortedJson json = parse_sorted_json(kDecoder, file);
    const bool has_space =
        joined_pieces(prefixing_, "x").find(kSentencePieceSpace) != std::string::npos;
    json["decoders"].back()["start"] = has_space ? 1 : 0;
    return make_token_decoder(json, file);
  }

  static void append_if_known(int id, std::vector<TokenId>& ids) {
    if (id >= 0) ids.push_back(id);
  }

  void encode_part(std::string_view part, bool at_start, std::vector<TokenId>& ids,
                   const Hooks& hooks) const {
    const Processor* processor = options_.prefix_every_part || at_start ? &prefixing_ : &plain_;
    while (!part.empty()) {
      hooks.check_cancelled();
      const std::size_t size = cutter_.chunk_bytes(part);
      encode_chunk(*processor, part.substr(0, size), ids);
      part.remove_prefix(size);
      processor = &plain_;
    }
  }

  static void encode_chunk(const Processor& processor, std::string_view part,
                           std::vector<TokenId>& ids) {
    std::vector<int> found;
    const auto status = processor.Encode(part, &found);
    if (!status.ok()) {
      throw_error(ErrorCode::kInternal, "SentencePiece failed: ", status.ToString());
    }
    ids.insert(ids.end(), found.begin(), found.end());
  }

  SentencePieceOptions options_;
  std::unique_ptr<TokenDecoder> decoder_;
  Processor prefixing_;  // as the model says
  Processor plain_;      // never puts a space before the text
  AddedTokens added_;
  Vocabulary pieces_;
  TextCutter cutter_;
};

}  // namespace

std::unique_ptr<TokenBackend> make_sentence_piece(std::string model_bytes, const std::string& file,
                                                  const SentencePieceOptions& options) {
  return std::make_unique<SentencePieceBackend>(std::move(model_bytes), file, options);
}

}  // namespace helix
