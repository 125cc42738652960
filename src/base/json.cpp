#include "base/json.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/message.h"

namespace helix {
namespace {

constexpr std::size_t kMaxDepth = 100;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The words of Python's json module that JSON does not have, longest first.
struct PythonWord {
  std::string_view text;
  double value;
};
constexpr std::array<PythonWord, 3> kPythonWords = {{
    {"-Infinity", -kInfinity},
    {"Infinity", kInfinity},
    {"NaN", std::numeric_limits<double>::quiet_NaN()},
}};

// Numbers by the place of the empty string that stands for them among all strings of a text.
using Words = std::map<std::size_t, double>;

// Builds the value from the parser's events. nlohmann's own builder looks every key of an ordered
// object up before it appends it, which takes minutes for the index file of a large model.
class Builder final : public nlohmann::json_sax<Json> {
 public:
  Builder(std::string_view file, const Words& words) : file_(file), words_(words) {}
  Json take() { return std::move(root_); }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool binary(binary_t&) override { return false; }  // no text has one
  bool string(string_t& value) override {
    const auto word = words_.find(string_count_++);
    return word == words_.end() ? add(std::move(value)) : add(word->second);
  }

  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    if (words_.contains(string_count_++)) fail(": not valid JSON: a number is no key");
    if (!open_.back().keys.insert(name).second) fail(": key \"", name, "\" occurs twice");
    key_ = std::move(name);
    return true;
  }
  bool parse_error(std::size_t, const std::string&,
                   const nlohmann::detail::exception& fault) override {
    fail(": not valid JSON: ", fault.what());
  }

 private:
  struct Open {
    Json* value;
    std::unordered_set<std::string> keys;
  };

  template <typename... Parts>
  [[noreturn]] void fail(const Parts&... parts) const {
    throw_error(ErrorCode::kCorruptData, file_, parts...);
  }

  // The new value's place. An object or array does not grow while a child of it is open, so the
  // places of open values stay.
  Json& append(Json&& value) {
    if (open_.empty()) return root_ = std::move(value);
    Json& parent = *open_.back().value;
    if (parent.is_array()) return parent.get_ref<Json::array_t&>().emplace_back(std::move(value));
    Json::object_t::Container& members = parent.get_ref<Json::object_t&>();
    return members.emplace_back(std::move(key_), std::move(value)).second;
  }
  bool add(Json value) {
    append(std::move(value));
    return true;
  }
  bool open(Json value) {
    if (open_.size() >= kMaxDepth) fail(": JSON nested deeper than ", kMaxDepth);
    Json& place = append(std::move(value));
    open_.push_back({&place, {}});
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  std::string_view file_;
  const Words& words_;
  Json root_;
  std::vector<Open> open_;
  std::string key_;
  std::size_t string_count_ = 0;
};

Json parse(std::string_view text, std::string_view file, const Words& words) {
  // nlohmann's lexer takes a zero byte for the end and would not see what follows.
  if (text.find('\0') != std::string_view::npos) {
    throw_error(ErrorCode::kCorruptData, file, ": not valid JSON: it holds a zero byte");
  }
  Builder builder(file, words);
  Json::sax_parse(text, &builder);
  return builder.take();
}

void dump_value(const Json& json, std::size_t indent, std::string& out);

template <typename Items, typename Dump>
void dump_items(const Items& items, char open, char close, std::size_t indent, std::string& out,
                const Dump& dump) {
  out += open;
  for (std::size_t i = 0; i < items.size(); ++i) {
    out += (i == 0 ? "\n" : ",\n") + std::string(indent + 2, ' ');
    dump(items[i]);
  }
  if (!items.empty()) out += "\n" + std::string(indent, ' ');
  out += close;
}

void dump_value(const Json& json, std::size_t indent, std::string& out) {
  if (json.is_object()) {
    const Json::object_t::Container& members = json.get_ref<const Json::object_t&>();
    dump_items(members, '{', '}', indent, out, [&](const auto& member) {
      out += Json(member.first).dump() + ": ";
      dump_value(member.second, indent + 2, out);
    });
  } else if (json.is_array()) {
    dump_items(json.get_ref<const Json::array_t&>(), '[', ']', indent, out,
               [&](const Json& item) { dump_value(item, indent + 2, out); });
  } else if (json.is_number_float() && !std::isfinite(json.get<double>())) {
    const double value = json.get<double>();
    out += std::isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
  } else {
    out += json.dump();
  }
}

}  // namespace

Json parse_json(std::string_view text, std::string_view file) { return parse(text, file, {}); }

Json parse_python_json(std::string_view text, std::string_view file) {
  std::string plain;
  Words words;
  std::size_t string_count = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto word =
        std::find_if(kPythonWords.begin(), kPythonWords.end(), [&](const PythonWord& candidate) {
          return !in_string && text.substr(i).starts_with(candidate.text);
        });
    if (word != kPythonWords.end()) {
      plain += "\"\"";
      words[string_count++] = word->value;
      i += word->text.size() - 1;
      continue;
    }
    if (text[i] == '"') {
      if (!in_string) ++string_count;
      in_string = !in_string;
    }
    plain += text[i];
    if (in_string && text[i] == '\\' && i + 1 < text.size()) plain += text[++i];
  }
  return parse(plain, file, words);
}

std::string dump_python_json(const Json& json) {
  std::string text;
  dump_value(json, 0, text);
  return text + "\n";
}

}  // namespace helix
