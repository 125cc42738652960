#include "tokenizer/jinja/filters.h"

#include <algorithm>
#include <iterator>

namespace helix::jinja {
namespace {

constexpr std::string_view kMissing[] = {
    "attr",  "batch",     "filesizeformat", "forceescape", "format", "groupby",  "pprint", "random",
    "slice", "striptags", "truncate",       "urlencode",   "urlize", "wordwrap", "xmlattr"};

Filter find_filter(const std::string& name) {
  for (const FilterTable* table : {&text_filters(), &number_filters(), &sequence_filters(),
                                   &selection_filters(), &markup_filters()}) {
    const auto entry = table->find(name);
    if (entry != table->end()) return entry->second;
  }
  return nullptr;
}

}  // namespace

Value apply_filter(Runtime& runtime, const std::string& name, const Value& value,
                   const CallArguments& arguments) {
  runtime.step();
  const Runtime::Depth depth(runtime);
  const Filter filter = find_filter(name);
  if (filter == nullptr) runtime.unsupported("the filter '" + name + "'");
  return filter(runtime, value, arguments);
}

bool is_filter(const std::string& name) {
  return find_filter(name) != nullptr ||
         std::find(std::begin(kMissing), std::end(kMissing), name) != std::end(kMissing);
}

}  // namespace helix::jinja
