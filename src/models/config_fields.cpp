#include "models/config_fields.h"

#include <cmath>

#include "base/message.h"

namespace helix {
namespace {

constexpr std::uint64_t kLargestSize = std::uint64_t{1} << 24;
constexpr std::uint64_t kLargestCount = std::uint64_t{1} << 53;

}  // namespace

const Json* ConfigFields::find(const char* key) const {
  const auto found = object_->find(key);
  return found == object_->end() || found->is_null() ? nullptr : &*found;
}

const Json& ConfigFields::require(const char* key) const {
  const Json* value = find(key);
  if (value == nullptr) throw_error(ErrorCode::kCorruptData, file_, ": ", key, " is missing");
  return *value;
}

void ConfigFields::refuse(const char* key, std::string_view expected) const {
  const Json* value = find(key);
  throw_error(ErrorCode::kCorruptData, file_, ": ", key, " is ",
              value == nullptr ? "missing" : value->dump(), ", expected ", expected);
}

std::size_t ConfigFields::size(const char* key) const {
  const Json& value = require(key);
  const bool fits = value.is_number_unsigned() && value.get<std::uint64_t>() >= 1 &&
                    value.get<std::uint64_t>() <= kLargestSize;
  if (!fits) refuse(key, "a size from 1 to 16,777,216");
  return value.get<std::size_t>();
}

std::size_t ConfigFields::size_or(const char* key, std::size_t otherwise) const {
  return has(key) ? size(key) : otherwise;
}

std::uint64_t ConfigFields::count_or(const char* key, std::uint64_t otherwise) const {
  const Json* value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_number_unsigned() || value->get<std::uint64_t>() > kLargestCount) {
    refuse(key, "a whole number from 0 on");
  }
  return value->get<std::uint64_t>();
}

double ConfigFields::number(const char* key) const {
  const Json& value = require(key);
  if (!value.is_number() || !std::isfinite(value.get<double>())) refuse(key, "a number");
  return value.get<double>();
}

double ConfigFields::number_or(const char* key, double otherwise) const {
  return has(key) ? number(key) : otherwise;
}

std::optional<double> ConfigFields::optional_number(const char* key) const {
  return has(key) ? std::optional(number(key)) : std::nullopt;
}

bool ConfigFields::flag_or(const char* key, bool otherwise) const {
  const Json* value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) refuse(key, "true or false");
  return value->get<bool>();
}

std::string ConfigFields::text_or(const char* key, std::string_view otherwise) const {
  const Json* value = find(key);
  if (value == nullptr) return std::string(otherwise);
  if (!value->is_string()) refuse(key, "a text");
  return value->get<std::string>();
}

std::vector<std::string> ConfigFields::texts(const char* key) const {
  const Json* value = find(key);
  if (value == nullptr) return {};
  if (!value->is_array()) refuse(key, "a list of texts");
  std::vector<std::string> list;
  for (const Json& item : *value) {
    if (!item.is_string()) refuse(key, "a list of texts");
    list.push_back(item.get<std::string>());
  }
  return list;
}

const Json* ConfigFields::object(const char* key) const {
  const Json* value = find(key);
  if (value != nullptr && !value->is_object()) refuse(key, "an object");
  return value;
}

}  // namespace helix
