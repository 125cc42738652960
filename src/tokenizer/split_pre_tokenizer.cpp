#include "tokenizer/split_pre_tokenizer.h"

#include "tokenizer/utf8.h"

namespace helix {
namespace {

struct Range {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool is_delimiter = false;
};

// Receives text and delimiters from left to right and hands on finished pieces; a delimiter may be
// empty, which parts what is around it. Nothing but the piece under construction is held, whatever
// the length of the text.
class Splitter {
 public:
  Splitter(std::string_view text, bool at_start, SplitBehavior behavior,
           const PreTokenizer::Sink& sink)
      : text_(text), at_start_(at_start), behavior_(behavior), sink_(sink) {}

  void add(Range range) {
    if (behavior_ == SplitBehavior::kRemoved) {
      if (!range.is_delimiter) emit(range);
    } else if (has_pending_ && joins(range)) {
      pending_.end = range.end;
      pending_.is_delimiter = range.is_delimiter;
    } else {
      finish();
      pending_ = range;
      has_pending_ = true;
    }
  }

  void finish() {
    if (has_pending_) emit(pending_);
    has_pending_ = false;
  }

 private:
  bool joins(Range range) const {
    switch (behavior_) {
      case SplitBehavior::kContiguous: return range.is_delimiter == pending_.is_delimiter;
      case SplitBehavior::kMergedWithPrevious: return range.is_delimiter && !pending_.is_delimiter;
      case SplitBehavior::kMergedWithNext: return !range.is_delimiter && pending_.is_delimiter;
      case SplitBehavior::kRemoved:
      case SplitBehavior::kIsolated: break;
    }
    return false;
  }

  void emit(Range range) {
    if (range.begin == range.end) return;
    sink_(text_.substr(range.begin, range.end - range.begin), at_start_ && range.begin == 0);
  }

  std::string_view text_;
  bool at_start_;
  SplitBehavior behavior_;
  const PreTokenizer::Sink& sink_;
  Range pending_;
  bool has_pending_ = false;
};

class SplitPreTokenizer : public PreTokenizer {
 public:
  SplitPreTokenizer(FindDelimiters find, SplitBehavior behavior, bool invert)
      : find_(std::move(find)), behavior_(behavior), invert_(invert) {}

  void split(std::string_view text, bool at_start, const Sink& sink,
             CancelCheck& cancel) const override {
    Splitter splitter(text, at_start, behavior_, sink);
    std::size_t done = 0;
    find_(text, [&](std::size_t begin, std::size_t end) {
      cancel.step();
      if (done != begin) splitter.add({done, begin, invert_});
      splitter.add({begin, end, !invert_});
      done = end;
    });
    if (done != text.size()) splitter.add({done, text.size(), invert_});
    splitter.finish();
  }

 private:
  FindDelimiters find_;
  SplitBehavior behavior_;
  bool invert_;
};

}  // namespace

std::unique_ptr<PreTokenizer> make_split(FindDelimiters find, SplitBehavior behavior, bool invert) {
  return std::make_unique<SplitPreTokenizer>(std::move(find), behavior, invert);
}

std::unique_ptr<PreTokenizer> make_character_split(std::function<bool(char32_t)> is_delimiter,
                                                   SplitBehavior behavior) {
  const FindDelimiters find = [is_delimiter = std::move(is_delimiter)](
                                  std::string_view text,
                                  const std::function<void(std::size_t, std::size_t)>& found) {
    for (std::size_t offset = 0; offset < text.size();) {
      const std::size_t begin = offset;
      if (is_delimiter(next_code_point(text, offset))) found(begin, offset);
    }
  };
  return make_split(find, behavior, false);
}

}  // namespace helix
