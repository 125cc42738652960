#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "tokenizer/jinja/runtime.h"

namespace helix::jinja {

using Filter = Value (*)(Runtime& runtime, const Value& value, const CallArguments& arguments);
using FilterTable = std::map<std::string, Filter, std::less<>>;

// value | name(arguments). Throws Error(kUnsupported) for a filter that is not known.
Value apply_filter(Runtime& runtime, const std::string& name, const Value& value,
                   const CallArguments& arguments);
// Whether the filter is known to treat markup as it should.
bool takes_markup(std::string_view name);
// value is name(arguments)
bool apply_test(Runtime& runtime, const std::string& name, const Value& value,
                const CallArguments& arguments);

// Whether Jinja has the filter or the test, be it known here or not.
bool is_filter(const std::string& name);
bool is_test(const std::string& name);

const FilterTable& text_filters();
const FilterTable& number_filters();
const FilterTable& sequence_filters();
const FilterTable& selection_filters();
const FilterTable& markup_filters();

Value tojson(Runtime& runtime, const Value& value, const CallArguments& arguments);

}  // namespace helix::jinja
