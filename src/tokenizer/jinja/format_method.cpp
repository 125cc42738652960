#include <algorithm>

#include "base/message.h"
#include "tokenizer/jinja/methods.h"

namespace helix::jinja {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_character(char c) {
  return is_digit(c) || c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// str.format with plain fields: {}, {0} and {name}.
class Formatter {
 public:
  Formatter(Runtime& runtime, const CallArguments& arguments)
      : runtime_(runtime), arguments_(arguments) {}

  std::string run(std::string_view format) {
    std::string result;
    while (!format.empty()) {
      const std::size_t brace = std::min(format.find_first_of("{}"), format.size());
      result += format.substr(0, brace);
      format.remove_prefix(brace);
      if (format.empty()) break;
      if (format.size() > 1 && format[1] == format[0]) {  // a doubled brace stands for itself
        result += format[0];
        format.remove_prefix(2);
        continue;
      }
      const std::size_t end = format.find('}');
      if (end == 0 || end == format.npos) runtime_.fail("a single brace in a format");
      result += runtime_.to_text(argument(format.substr(1, end - 1)));
      format.remove_prefix(end + 1);
    }
    return result;
  }

 private:
  const Value& argument(std::string_view field) {
    runtime_.step();
    if (!std::all_of(field.begin(), field.end(), is_name_character)) {
      runtime_.unsupported(concat("the format {", field, "}"));
    }
    const bool is_number = std::all_of(field.begin(), field.end(), is_digit);
    return is_number ? positional(field) : named(field);
  }

  const Value& positional(std::string_view field) {
    (field.empty() ? counts_ : numbers_) = true;
    if (counts_ && numbers_) runtime_.fail("a format with numbered fields and others");
    if (field.size() > 6) runtime_.fail("a field's number so large");
    const std::size_t index = field.empty() ? next_++ : std::stoul(std::string(field));
    if (index >= arguments_.positional.size()) runtime_.fail("a format with too few arguments");
    return arguments_.positional[index];
  }

  const Value& named(std::string_view field) {
    runtime_.step(arguments_.keyword.size());
    for (const auto& [name, value] : arguments_.keyword) {
      if (name == field) return value;
    }
    runtime_.fail(concat("format has no argument '", field, "'"));
  }

  Runtime& runtime_;
  const CallArguments& arguments_;
  std::size_t next_ = 0;
  bool counts_ = false;
  bool numbers_ = false;
};

}  // namespace

Value format_method(Runtime& runtime, const Value& self, const CallArguments& arguments) {
  return runtime.text(Formatter(runtime, arguments).run(self.text()));
}

}  // namespace helix::jinja
