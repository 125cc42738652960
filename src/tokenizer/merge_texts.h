#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace helix {

// The merge rules of a BPE model as written, in their order. All texts lie in one string: models
// have a few 100,000 rules.
class MergeTexts {
 public:
  struct Pair {
    std::string_view left;
    std::string_view right;
    std::string_view joined;  // both, one after the other
  };

  void add(std::string_view left, std::string_view right) {
    places_.push_back({text_.size(), text_.size() + left.size()});
    text_ += left;
    text_ += right;
  }

  std::size_t size() const { return places_.size(); }

  // Views are valid until the next add.
  Pair operator[](std::size_t index) const {
    const Place place = places_[index];
    const std::size_t end = index + 1 < size() ? places_[index + 1].begin : text_.size();
    const std::string_view joined = std::string_view(text_).substr(place.begin, end - place.begin);
    const std::size_t left_bytes = place.middle - place.begin;
    return {joined.substr(0, left_bytes), joined.substr(left_bytes), joined};
  }

 private:
  struct Place {
    std::size_t begin;
    std::size_t middle;
  };

  std::string text_;
  std::vector<Place> places_;
};

}  // namespace helix
