#pragma once

#include <sentencepiece_processor.h>

#include <string>
#include <string_view>

namespace helix {

constexpr std::string_view kSentencePieceSpace = "\xE2\x96\x81";

// The pieces of `text` in a row, as they are before they are numbered; "" where the library fails.
std::string joined_pieces(const sentencepiece::SentencePieceProcessor& processor,
                          std::string_view text);

// The SentencePiece library slows down on long text: it gets chunks where that changes nothing.
class TextCutter {
 public:
  TextCutter() = default;  // never cuts
  // `plain` puts no space before a text.
  explicit TextCutter(const sentencepiece::SentencePieceProcessor& plain);

  // How much of `part` to encode first.
  std::size_t chunk_bytes(std::string_view part) const;

 private:
  bool cuttable_ = false;
};

}  // namespace helix
