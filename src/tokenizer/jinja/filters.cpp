#include "tokenizer/jinja/filters.h"

namespace helix::jinja {

Value apply_filter(Runtime& runtime, const std::string& name, const Value& value,
                   const CallArguments& arguments) {
  runtime.step();
  const Runtime::Depth depth(runtime);
  for (const FilterTable* table : {&text_filters(), &sequence_filters(), &selection_filters()}) {
    const auto entry = table->find(name);
    if (entry != table->end()) return entry->second(runtime, value, arguments);
  }
  runtime.unsupported("the filter '" + name + "'");
}

}  // namespace helix::jinja
