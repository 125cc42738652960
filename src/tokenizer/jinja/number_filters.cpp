#include <charconv>
#include <cmath>
#include <cstdio>

#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/text_operations.h"
#include "tokenizer/unicode.h"
#include "tokenizer/utf8.h"

namespace helix::jinja {
namespace {

// Python reads these as digits, too.
void refuse_unusual_digits(Runtime& runtime, std::string_view text) {
  for (const char32_t c : code_points(text)) {
    if (c == '_') runtime.unsupported("a number with underscores");
    if (c >= 0x80 && is_numeric(c)) runtime.unsupported("a number with digits beyond ASCII");
  }
}

// from_chars knows no plus.
std::string_view without_plus(std::string_view text) {
  return text.starts_with('+') && !text.starts_with("+-") ? text.substr(1) : text;
}

// Nothing where the text is no number.
template <typename Number, typename... Format>
std::optional<Number> parse_number(Runtime& runtime, std::string_view text, Format... format) {
  Number result{};
  const char* last = text.data() + text.size();
  const auto end = std::from_chars(text.data(), last, result, format...);
  if (end.ptr != last || end.ec == std::errc::invalid_argument) return std::nullopt;
  if (end.ec == std::errc::result_out_of_range) runtime.unsupported("a number of this size");
  return result;
}

// "0x" and its kind may stand before the digits of their base.
std::optional<std::int64_t> parse_integer(Runtime& runtime, std::string_view text, int base) {
  std::string digits(without_plus(strip(text, Side::kBoth)));
  const std::size_t sign = digits.starts_with('-') ? 1 : 0;
  const char letter = base == 16 ? 'x' : base == 8 ? 'o' : base == 2 ? 'b' : '\0';
  const std::string_view unsigned_digits = std::string_view(digits).substr(sign);
  const bool prefixed = unsigned_digits.size() > 2 && unsigned_digits[0] == '0' &&
                        (unsigned_digits[1] | 0x20) == letter && unsigned_digits[2] != '-';
  if (prefixed) digits.erase(sign, 2);
  return parse_number<std::int64_t>(runtime, digits, base);
}

std::optional<double> parse_float(Runtime& runtime, std::string_view text) {
  text = without_plus(strip(text, Side::kBoth));
  if (text.ends_with(')')) return std::nullopt;  // "nan(1)" is C's alone
  return parse_number<double>(runtime, text);
}

Value truncate_float(Runtime& runtime, double number) {
  if (!(std::abs(number) < 9.0e18)) runtime.unsupported("an integer this large");
  return static_cast<std::int64_t>(number);
}

Value int_filter(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "int", arguments, {"default", "base"});
  if (value.is_undefined()) runtime.fail_undefined(value);
  const Value fallback = bound.has(0) ? bound.required(0) : Value(std::int64_t{0});
  if (value.is_float())
    return std::isfinite(value.number()) ? truncate_float(runtime, value.number()) : fallback;
  if (value.is_number()) return value.integer();
  if (!value.is_text()) return fallback;
  refuse_unusual_digits(runtime, value.text());
  const std::int64_t base = bound.integer(1, 10);
  if (base < 2 || base > 36) runtime.unsupported("a number to this base");
  if (const auto number = parse_integer(runtime, value.text(), static_cast<int>(base)))
    return *number;
  const auto number = parse_float(runtime, value.text());
  if (!number) return fallback;
  return std::isfinite(*number) ? truncate_float(runtime, *number) : fallback;
}

Value float_filter(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "float", arguments, {"default"});
  if (value.is_undefined()) runtime.fail_undefined(value);
  const Value fallback = bound.has(0) ? bound.required(0) : Value(0.0);
  if (value.is_number()) return value.number();
  if (!value.is_text()) return fallback;
  refuse_unusual_digits(runtime, value.text());
  const auto number = parse_float(runtime, value.text());
  return number ? Value(*number) : fallback;
}

Value abs_filter(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "abs", arguments, {});
  if (!value.is_number()) runtime.fail("abs of no number");
  if (value.is_float()) return std::abs(value.number());
  if (value.integer() == INT64_MIN) runtime.unsupported("an integer this large");
  return value.integer() < 0 ? -value.integer() : value.integer();
}

// Down or up at a decimal place; what was -0.0 is an integer on the way and loses its sign.
Value round_towards(Runtime& runtime, const Value& value, std::int64_t precision, bool up) {
  if (!value.is_float()) return static_cast<double>(value.integer());
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = value.number() * scale;
  if (!std::isfinite(scaled)) runtime.fail("cannot convert an infinity to an integer");
  return ((up ? std::ceil(scaled) : std::floor(scaled)) + 0.0) / scale;
}

Value round(Runtime& runtime, const Value& value, const CallArguments& arguments) {
  const BoundArguments bound(runtime, "round", arguments, {"precision", "method"});
  const std::int64_t precision = bound.integer(0, 0);
  if (!value.is_number()) runtime.fail("round of no number");
  if (precision < 0 || precision > 15) runtime.unsupported("rounding to this precision");
  const std::string method = bound.text(1, "common");
  if (method == "floor" || method == "ceil") {
    return round_towards(runtime, value, precision, method == "ceil");
  }
  if (method != "common") runtime.fail("round: method must be common, ceil or floor");
  if (!value.is_float()) return value.integer();
  if (!std::isfinite(value.number())) return value;
  char text[400];
  std::snprintf(text, sizeof text, "%.*f", static_cast<int>(precision), value.number());
  return std::stod(text);
}

}  // namespace

const FilterTable& number_filters() {
  static const FilterTable table{
      {"int", int_filter}, {"float", float_filter}, {"abs", abs_filter}, {"round", round}};
  return table;
}

}  // namespace helix::jinja
