#include "tokenizer/component.h"

#include "base/message.h"

namespace helix {

Component::Component(const SortedJson& json, std::string where)
    : json_(&json), where_(std::move(where)) {
  if (!json.is_object()) corrupt(concat("expected an object, found ", json.type_name()));
}

bool Component::has(std::string_view key) const {
  const auto entry = json_->find(key);
  return entry != json_->end() && !entry->is_null();
}

bool Component::flag(std::string_view key, bool fallback) const {
  if (!has(key)) return fallback;
  const SortedJson& value = *json_->find(key);
  if (!value.is_boolean()) corrupt(concat("\"", key, "\" is not true or false"));
  return value.get<bool>();
}

std::int64_t Component::number(std::string_view key, std::int64_t fallback) const {
  if (!has(key)) return fallback;
  const SortedJson& value = *json_->find(key);
  if (!value.is_number_integer()) corrupt(concat("\"", key, "\" is not an integer"));
  return value.get<std::int64_t>();
}

std::string Component::text(std::string_view key, std::string_view fallback) const {
  return has(key) ? text(key) : std::string(fallback);
}

std::string Component::text(std::string_view key) const {
  if (!has(key)) corrupt(concat("\"", key, "\" is missing"));
  const SortedJson& value = *json_->find(key);
  if (!value.is_string()) corrupt(concat("\"", key, "\" is not a string"));
  return value.get<std::string>();
}

Component Component::member(std::string_view key) const {
  if (!has(key)) corrupt(concat("\"", key, "\" is missing"));
  return Component(*json_->find(key), concat(where_, ".", key));
}

std::vector<Component> Component::list(std::string_view key) const {
  if (!has(key)) corrupt(concat("\"", key, "\" is missing"));
  const SortedJson& value = *json_->find(key);
  if (!value.is_array()) corrupt(concat("\"", key, "\" is not a list"));
  std::vector<Component> result;
  for (const SortedJson& element : value) {
    result.emplace_back(element, concat(where_, ".", key, "[", result.size(), "]"));
  }
  return result;
}

void Component::unsupported(std::string_view what) const {
  throw_error(ErrorCode::kUnsupported, where_, ": ", what, " is not supported");
}

void Component::corrupt(std::string_view what) const {
  throw_error(ErrorCode::kCorruptData, where_, ": ", what);
}

}  // namespace helix
