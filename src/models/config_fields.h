#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace helix {

// Typed access to one object of a config.json. An absent key and null are the same. Every function
// throws Error(kCorruptData) naming the file, the key and what was found where a value is of the
// wrong kind or out of range.
class ConfigFields {
 public:
  // Both are borrowed.
  ConfigFields(const Json& object, std::string_view file) : object_(&object), file_(file) {}

  bool has(const char* key) const { return find(key) != nullptr; }
  // There, and null; elsewhere that counts as absent.
  bool is_null(const char* key) const { return object_->contains(key) && !has(key); }
  // 1 .. 2^24: what a size of a model can be.
  std::size_t size(const char* key) const;
  std::size_t size_or(const char* key, std::size_t otherwise) const;
  // Any integer from 0 to 2^53.
  std::uint64_t count_or(const char* key, std::uint64_t otherwise) const;
  double number(const char* key) const;  // finite
  double number_or(const char* key, double otherwise) const;
  std::optional<double> optional_number(const char* key) const;
  bool flag_or(const char* key, bool otherwise) const;
  std::string text_or(const char* key, std::string_view otherwise) const;
  // A list of texts; empty where there is none.
  std::vector<std::string> texts(const char* key) const;
  // Null where there is none.
  const Json* object(const char* key) const;

  const std::string& file() const { return file_; }
  // Throws: "<file>: <key> is <value>, expected <expected>".
  [[noreturn]] void refuse(const char* key, std::string_view expected) const;

 private:
  const Json* find(const char* key) const;
  const Json& require(const char* key) const;

  const Json* object_;
  std::string file_;
};

}  // namespace helix
