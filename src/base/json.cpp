#include "base/json.h"

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <vector>

#include "base/message.h"

namespace helix {
namespace {

constexpr int kMaxDepth = 100;

// The words of Python's json module that JSON does not have, longest first, and a private-use
// character (U+E000) that marks a string as one of them.
constexpr std::array<std::string_view, 3> kPythonWords = {"-Infinity", "Infinity", "NaN"};
constexpr std::string_view kMark = "\xee\x80\x80";

std::string marked(std::string_view word) {
  std::string text = "\"";
  return text.append(kMark).append(word) + "\"";
}

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

Json parse_python_json(std::string_view text, std::string_view file) {
  std::string plain;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto word =
        std::find_if(kPythonWords.begin(), kPythonWords.end(), [&](std::string_view candidate) {
          return !in_string && text.substr(i).starts_with(candidate);
        });
    if (word != kPythonWords.end()) {
      plain += marked(*word);
      i += word->size() - 1;
      continue;
    }
    if (text[i] == '"') in_string = !in_string;
    plain += text[i];
    if (in_string && text[i] == '\\' && i + 1 < text.size()) plain += text[++i];
  }
  return parse_json(plain, file);
}

std::string dump_python_json(const Json& json) {
  std::string text = json.dump(2) + "\n";
  for (const std::string_view word : kPythonWords) {
    const std::string quoted = marked(word);
    for (std::size_t at = text.find(quoted); at != std::string::npos; at = text.find(quoted, at)) {
      text.replace(at, quoted.size(), word);
    }
  }
  return text;
}

}  // namespace helix
