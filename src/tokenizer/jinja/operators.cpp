#include "tokenizer/jinja/operators.h"

#include <cmath>
#include <limits>

#include "base/message.h"
#include "tokenizer/jinja/markup.h"

namespace helix::jinja {
namespace {

[[noreturn]] void refuse(Runtime& runtime, std::string_view spelling, const Value& left,
                         const Value& right) {
  runtime.fail(concat("unsupported operand types for ", spelling, ": '", left.type_name(),
                      "' and '", right.type_name(), "'"));
}

void require_defined(Runtime& runtime, const Value& left, const Value& right) {
  if (left.is_undefined()) runtime.fail_undefined(left);
  if (right.is_undefined()) runtime.fail_undefined(right);
}

std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
  const std::int64_t quotient = a / b;
  return quotient - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

std::int64_t integer_power(Runtime& runtime, std::int64_t base, std::int64_t exponent) {
  std::int64_t result = 1;
  for (std::int64_t i = 0; i < exponent; ++i) {
    runtime.step();
    if (__builtin_mul_overflow(result, base, &result)) runtime.unsupported("an integer this large");
  }
  return result;
}

// CPython's float_pow where it raises no error: the rest of pow is the same as C's.
double float_power(Runtime& runtime, double base, double exponent) {
  const bool finite = std::isfinite(base) && std::isfinite(exponent);
  if (finite && base == 0.0 && exponent < 0.0) runtime.fail("zero to a negative power");
  if (finite && base < 0.0 && exponent != std::floor(exponent)) {
    runtime.unsupported("a complex number");
  }
  const double result = std::pow(base, exponent);
  if (finite && std::isinf(result)) runtime.fail("the result of ** is too large");
  return result;
}

// What is left has the divisor's sign, also where it is zero.
double float_remainder(double a, double b) {
  const double rest = std::fmod(a, b);
  if (rest == 0.0) return std::copysign(0.0, b);
  return (rest < 0.0) != (b < 0.0) ? rest + b : rest;
}

// CPython's _float_div_mod: a quotient of the exact remainder, not of a / b, which may round up.
double float_floor_divide(double a, double b) {
  const double rest = std::fmod(a, b);
  double quotient = (a - rest) / b;
  if (rest != 0.0 && (rest < 0.0) != (b < 0.0)) quotient -= 1.0;
  if (quotient == 0.0) return std::copysign(0.0, a / b);
  const double whole = std::floor(quotient);
  return quotient - whole > 0.5 ? whole + 1.0 : whole;
}

Value integer_binary(Runtime& runtime, std::string_view spelling, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  bool overflow = false;
  if ((spelling == "/" || spelling == "//" || spelling == "%") && b == 0) {
    runtime.fail("division by zero");
  }
  if (spelling == "/") {
    // Python rounds the exact quotient once; beyond 2^53 the operands would be rounded, too.
    const auto is_exact = [](std::int64_t i) { return i >= -(1LL << 53) && i <= 1LL << 53; };
    if (!is_exact(a) || !is_exact(b)) runtime.unsupported("the quotient of integers this large");
    return static_cast<double>(a) / static_cast<double>(b);
  }
  if (spelling == "+") {
    overflow = __builtin_add_overflow(a, b, &result);
  } else if (spelling == "-") {
    overflow = __builtin_sub_overflow(a, b, &result);
  } else if (spelling == "*") {
    overflow = __builtin_mul_overflow(a, b, &result);
  } else if (spelling == "**") {
    if (b < 0) return float_power(runtime, static_cast<double>(a), static_cast<double>(b));
    result = integer_power(runtime, a, b);
  } else {  // "//", "%"
    overflow = a == std::numeric_limits<std::int64_t>::min() && b == -1;
    if (!overflow) result = spelling == "//" ? floor_divide(a, b) : a - floor_divide(a, b) * b;
  }
  if (overflow) runtime.unsupported("an integer this large");
  return result;
}

Value float_binary(Runtime& runtime, std::string_view spelling, double a, double b) {
  if (spelling == "+") return a + b;
  if (spelling == "-") return a - b;
  if (spelling == "*") return a * b;
  if (spelling == "**") return float_power(runtime, a, b);
  if (b == 0.0) runtime.fail("division by zero");
  if (spelling == "/") return a / b;
  return spelling == "//" ? float_floor_divide(a, b) : float_remainder(a, b);
}

Value repeat(Runtime& runtime, const Value& value, std::int64_t count) {
  const auto times = static_cast<std::uint64_t>(std::max<std::int64_t>(count, 0));
  if (value.is_text()) {
    const std::string& text = value.text();
    if (times > 0 && text.size() > Runtime::kMaxBytes / times)
      runtime.unsupported("a text so long");
    runtime.step(times);
    std::string result;
    for (std::uint64_t i = 0; i < times; ++i) result += text;
    return runtime.text(std::move(result));
  }
  const std::vector<Value>& items = value.sequence().items;
  if (times > 0 && items.size() > Runtime::kMaxSteps / times) runtime.unsupported("a list so long");
  runtime.step(times * items.size());
  std::vector<Value> result;
  for (std::uint64_t i = 0; i < times; ++i) result.insert(result.end(), items.begin(), items.end());
  return runtime.sequence(std::move(result), value.sequence().kind);
}

bool is_plain_sequence(const Value& value) {
  return value.is_sequence(Sequence::Kind::kList) || value.is_sequence(Sequence::Kind::kTuple);
}

Value add_sequences(Runtime& runtime, const Value& left, const Value& right) {
  std::vector<Value> items = left.sequence().items;
  const std::vector<Value>& more = right.sequence().items;
  items.insert(items.end(), more.begin(), more.end());
  runtime.step(items.size() / 8);
  return runtime.sequence(std::move(items), left.sequence().kind);
}

}  // namespace

Value binary(Runtime& runtime, std::string_view spelling, const Value& left, const Value& right) {
  require_defined(runtime, left, right);
  if (left.is_number() && right.is_number()) {
    if (left.is_float() || right.is_float()) {
      return float_binary(runtime, spelling, left.number(), right.number());
    }
    return integer_binary(runtime, spelling, left.integer(), right.integer());
  }
  const auto repeats = [](const Value& value, const Value& count) {
    return (value.is_text() || is_plain_sequence(value)) && (count.is_integer() || count.is_bool());
  };
  if (spelling == "*" && repeats(left, right)) return repeat(runtime, left, right.integer());
  if (spelling == "*" && repeats(right, left)) return repeat(runtime, right, left.integer());
  if (spelling == "+" && left.is_text() && right.is_text()) {
    if (left.is_markup() || right.is_markup()) return add_markup(runtime, left, right);
    return runtime.text(left.text() + right.text());
  }
  if (spelling == "+" && is_plain_sequence(left) && right.is_sequence(left.sequence().kind)) {
    return add_sequences(runtime, left, right);
  }
  if (spelling == "%" && left.is_text()) runtime.unsupported("formatting with %");
  refuse(runtime, spelling, left, right);
}

Value negative(Runtime& runtime, const Value& value) {
  if (value.is_undefined()) runtime.fail_undefined(value);
  if (value.is_float()) return -value.number();
  if (!value.is_number()) runtime.fail(concat("bad operand type for unary -: ", value.type_name()));
  return integer_binary(runtime, "-", 0, value.integer());
}

void require_hashable(Runtime& runtime, const Value& key) {
  if (!key.is_hashable()) runtime.fail(concat("unhashable type: '", key.type_name(), "'"));
}

bool contains(Runtime& runtime, const Value& container, const Value& element) {
  if (container.is_text()) {
    if (!element.is_text()) {
      runtime.fail(concat("'in <string>' requires string, not ", element.type_name()));
    }
    runtime.step(container.text().size() / 64);
    return container.text().find(element.text()) != std::string::npos;
  }
  if (container.is_dict()) {
    require_hashable(runtime, element);
    return runtime.find(container.dict(), element) != nullptr;
  }
  if (container.is_sequence(Sequence::Kind::kView) && !element.is_hashable()) {
    runtime.unsupported(concat("a ", element.type_name(), " looked for in a view"));
  }
  if (container.is_sequence() && !container.is_sequence(Sequence::Kind::kIterator)) {
    for (const Value& item : container.sequence().items) {
      if (runtime.equal(item, element)) return true;
    }
    return false;
  }
  if (container.is_undefined()) return false;
  if (container.is_sequence()) runtime.unsupported("'in' on an iterator");
  runtime.fail(concat("argument of type '", container.type_name(), "' is not iterable"));
}

bool compare(Runtime& runtime, std::string_view spelling, const Value& left, const Value& right) {
  if (spelling == "in") return contains(runtime, right, left);
  if (spelling == "not in") return !contains(runtime, right, left);
  if (spelling == "==") return runtime.equal(left, right);
  if (spelling == "!=") return !runtime.equal(left, right);
  require_defined(runtime, left, right);
  const bool swapped = spelling == ">" || spelling == "<=";
  const auto result = swapped ? runtime.less(right, left) : runtime.less(left, right);
  if (!result) refuse(runtime, spelling, left, right);
  if (left.is_number() && (std::isnan(left.number()) || std::isnan(right.number()))) return false;
  return spelling == "<" || spelling == ">" ? *result : !*result;
}

Value call(Runtime& runtime, const Value& callee, const CallArguments& arguments) {
  if (callee.is_undefined()) runtime.fail_undefined(callee);
  if (!callee.is_function()) {
    runtime.fail(concat("'", callee.type_name(), "' object is not callable"));
  }
  runtime.step();
  const Runtime::Depth depth(runtime);
  // NOLINTNEXTLINE(performance-unnecessary-copy-initialization): keeps it alive
  const Value::Function function = callee.function();
  return function->call(runtime, arguments);
}

}  // namespace helix::jinja
