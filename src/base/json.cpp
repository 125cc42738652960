#include "base/json.h"

#include <set>
#include <string>
#include <vector>

#include "base/message.h"

namespace helix {
namespace {

constexpr int kMaxDepth = 100;

}  // namespace

Json parse_json(std::string_view text, std::string_view file) {
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    const bool opens =
        event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start;
    if (opens && depth >= kMaxDepth) {
      throw_error(ErrorCode::kCorruptData, file, ": JSON nested deeper than ", kMaxDepth);
    }
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!keys.back().insert(key).second) {
        throw_error(ErrorCode::kCorruptData, file, ": key \"", key, "\" occurs twice");
      }
    }
    return true;
  };
  try {
    return Json::parse(text, watch);
  } catch (const Json::exception& fault) {
    throw_error(ErrorCode::kCorruptData, file, ": not valid JSON: ", fault.what());
  }
}

}  // namespace helix
