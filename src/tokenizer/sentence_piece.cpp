#include "tokenizer/sentence_piece.h"

#include <sentencepiece_processor.h>

#include <algorithm>

#include "base/message.h"
#include "tokenizer/unicode.h"
#include "tokenizer/utf8.h"

namespace helix {
namespace {

// Field 3 (normalizer_spec) with field 3 (add_dummy_prefix) = false. Appended to a serialized model
// it overrides that one flag: protocol buffers merge repeated messages.
constexpr std::string_view kNoDummyPrefix("\x1A\x02\x18\x00", 4);

// Llama's way back from pieces to text.
constexpr const char* kDecoder = R"({"type": "Sequence", "decoders": [
    {"type": "Replace", "pattern": {"String": "\u2581"}, "content": " "},
    {"type": "ByteFallback"}, {"type": "Fuse"},
    {"type": "Strip", "content": " ", "start": 1, "stop": 0}]})";

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
      : options_(std::move(options)),
        decoder_(make_token_decoder(parse_sorted_json(kDecoder, file), file)) {
    load(prefixing_, bytes, file);
    bytes += kNoDummyPrefix;
    load(plain_, bytes, file);
    for (std::size_t id = 0; id < piece_count(); ++id) {
      ids_.emplace(prefixing_.IdToPiece(static_cast<int>(id)), static_cast<TokenId>(id));
    }
    for (const AddedToken& token : options_.added_tokens) added_.add(token);
    add_special_pieces();
    added_.prepare(nullptr);
    id_limit_ = piece_count();
    for (const AddedToken& token : added_.all()) {
      id_limit_ = std::max(id_limit_, static_cast<std::size_t>(token.id) + 1);
    }
    cuttable_ = find_cuttable();
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
    const auto entry = ids_.find(token);
    return entry == ids_.end() ? std::nullopt : std::optional(entry->second);
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

  std::size_t id_limit() const override { return id_limit_; }

 private:
  std::size_t piece_count() const { return static_cast<std::size_t>(prefixing_.GetPieceSize()); }
  bool is_piece(TokenId id) const { return id >= 0 && id < prefixing_.GetPieceSize(); }

  bool is_special_piece(TokenId id) const {
    return prefixing_.IsControl(id) || prefixing_.IsUnknown(id);
  }

  void add_special_pieces() {
    const auto add = [&](TokenId id) {
      AddedToken token;
      token.content = prefixing_.IdToPiece(id);
      token.id = id;
      token.special = true;
      if (added_.find(id) == nullptr && added_.find(token.content) == nullptr) {
        added_.add(std::move(token));
      }
    };
    for (TokenId id = 0; is_piece(id); ++id) {
      if (is_special_piece(id)) add(id);
    }
    for (const std::string& name : options_.special_tokens) {
      if (const auto entry = ids_.find(name); entry != ids_.end()) add(entry->second);
    }
  }

  static void append_if_known(int id, std::vector<TokenId>& ids) {
    if (id >= 0) ids.push_back(id);
  }

  // Whether text may be cut before a space that follows another character: no piece reaches across
  // such a place, and the model takes no spaces away.
  bool find_cuttable() const {
    constexpr std::string_view kSpace = "\xE2\x96\x81";
    for (std::size_t id = 0; id < piece_count(); ++id) {
      std::string_view piece = prefixing_.IdToPiece(static_cast<int>(id));
      while (piece.starts_with(kSpace)) piece.remove_prefix(kSpace.size());
      if (piece.find(kSpace) != piece.npos) return false;
    }
    std::vector<std::string> pieces;
    if (!plain_.Encode("  x  y ", &pieces).ok()) return false;
    std::string joined;
    for (const std::string& piece : pieces) joined += piece;
    return joined == "\xE2\x96\x81\xE2\x96\x81x\xE2\x96\x81\xE2\x96\x81y\xE2\x96\x81";
  }

  // Whether what ends with `c` may be cut before a space: `c` becomes no space of the model.
  static bool cuttable_behind(char32_t c) {
    return is_printable(c) && c != ' ' && c != 0x2581 && c != 0xFFFD;
  }

  // The library slows down on long text: it gets chunks where that changes nothing.
  std::size_t chunk_bytes(std::string_view part) const {
    constexpr std::size_t kChunkBytes = 4096;
    if (!cuttable_) return part.size();
    std::size_t at = part.find(' ', std::min(kChunkBytes, part.size()));
    while (at != part.npos && !cuttable_behind(last_code_point(part.substr(0, at)))) {
      at = part.find(' ', at + 1);
    }
    return std::min(at, part.size());
  }

  void encode_part(std::string_view part, bool at_start, std::vector<TokenId>& ids,
                   const Hooks& hooks) const {
    const Processor* processor = options_.prefix_every_part || at_start ? &prefixing_ : &plain_;
    while (!part.empty()) {
      hooks.check_cancelled();
      const std::size_t size = chunk_bytes(part);
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
  StringMap<TokenId> ids_;
  std::size_t id_limit_ = 0;
  bool cuttable_ = false;
};

}  // namespace

std::unique_ptr<TokenBackend> make_sentence_piece(std::string model_bytes, const std::string& file,
                                                  const SentencePieceOptions& options) {
  return std::make_unique<SentencePieceBackend>(std::move(model_bytes), file, options);
}

}  // namespace helix
