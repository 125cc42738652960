#include "validators.h"

#include <charconv>
#include <string>

namespace helix::cli {
namespace {

// Whether all of `text` is one number.
template <typename Number>
bool parse(const std::string& text, Number& value) {
  const char* end = text.data() + text.size();
  const auto [stop, fault] = std::from_chars(text.data(), end, value);
  return fault == std::errc() && stop == end;
}

}  // namespace

CLI::Validator whole_number(std::uint64_t least, std::uint64_t most) {
  return {[least, most](std::string& text) -> std::string {
            std::uint64_t value = 0;
            if (parse(text, value) && value >= least && value <= most) {
              text = std::to_string(value);  // "010" is ten
              return "";
            }
            return "\"" + text + "\", expected a whole number from " + std::to_string(least) +
                   " to " + std::to_string(most);
          },
          ""};
}

CLI::Validator decimal_number() {
  return {[](std::string& text) -> std::string {
            double value = 0.0;
            return parse(text, value) ? "" : "\"" + text + "\", expected a number";
          },
          ""};
}

CLI::Validator not_empty() {
  return {[](std::string& text) -> std::string { return text.empty() ? "an empty name" : ""; }, ""};
}

}  // namespace helix::cli
