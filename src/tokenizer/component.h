#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer_json.h"

namespace helix {

// A part of tokenizer.json as its builder sees it: the JSON, and where it stands for error
// messages. Members are read through this, so that a wrong type is Error(kCorruptData) and nothing
// else.
class Component {
 public:
  Component(const SortedJson& json, std::string where);

  const std::string& where() const { return where_; }
  const SortedJson& json() const { return *json_; }
  // The "type" member, "" where there is none.
  std::string type() const { return text("type", ""); }

  bool has(std::string_view key) const;  // there and not null
  bool flag(std::string_view key, bool fallback) const;
  std::int64_t number(std::string_view key, std::int64_t fallback) const;
  std::string text(std::string_view key, std::string_view fallback) const;
  std::string text(std::string_view key) const;  // required
  Component member(std::string_view key) const;  // required
  std::vector<Component> list(std::string_view key) const;

  // Error(kUnsupported): "tokenizer.json: normalizer Nmt is not supported".
  [[noreturn]] void unsupported(std::string_view what) const;
  [[noreturn]] void corrupt(std::string_view what) const;

 private:
  const SortedJson* json_;
  std::string where_;
};

}  // namespace helix
