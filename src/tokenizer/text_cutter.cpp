#include "tokenizer/text_cutter.h"

#include <algorithm>
#include <vector>

#include "tokenizer/unicode.h"
#include "tokenizer/utf8.h"

namespace helix {
namespace {

using Processor = sentencepiece::SentencePieceProcessor;

// Whether text may be cut before a space that follows another character: no piece reaches across
// such a place, and the model takes no spaces away.
bool is_cuttable(const Processor& plain) {
  for (int id = 0; id < plain.GetPieceSize(); ++id) {
    std::string_view piece = plain.IdToPiece(id);
    while (piece.starts_with(kSentencePieceSpace)) piece.remove_prefix(kSentencePieceSpace.size());
    if (piece.find(kSentencePieceSpace) != piece.npos) return false;
  }
  return joined_pieces(plain, "  x  y ") ==
         "\xE2\x96\x81\xE2\x96\x81x\xE2\x96\x81\xE2\x96\x81y\xE2\x96\x81";
}

// Whether what ends with `c` may be cut before a space: `c` becomes no space of the model.
bool is_cuttable_behind(char32_t c) {
  return is_printable(c) && c != ' ' && c != 0x2581 && c != 0xFFFD;
}

}  // namespace

std::string joined_pieces(const Processor& processor, std::string_view text) {
  std::vector<std::string> pieces;
  std::string joined;
  if (!processor.Encode(text, &pieces).ok()) return joined;
  for (const std::string& piece : pieces) joined += piece;
  return joined;
}

TextCutter::TextCutter(const Processor& plain) : cuttable_(is_cuttable(plain)) {}

std::size_t TextCutter::chunk_bytes(std::string_view part) const {
  constexpr std::size_t kChunkBytes = 4096;
  if (!cuttable_) return part.size();
  std::size_t at = part.find(' ', std::min(kChunkBytes, part.size()));
  while (at != part.npos && !is_cuttable_behind(last_code_point(part.substr(0, at)))) {
    at = part.find(' ', at + 1);
  }
  return std::min(at, part.size());
}

}  // namespace helix
