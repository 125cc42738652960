#include "models/qwen2.h"

#include <string>

#include "base/message.h"

namespace helix {
namespace {

// layer_types says it for every layer; without it max_window_layers divides the stack.
bool is_sliding(const std::vector<std::string>& types, std::size_t layer, std::size_t first_sliding,
                std::string_view file) {
  if (types.empty()) return layer >= first_sliding;
  if (types[layer] == "sliding_attention") return true;
  if (types[layer] == "full_attention") return false;
  throw_error(ErrorCode::kUnsupported, file, ": layer_types holds \"", types[layer],
              "\", this version knows full_attention and sliding_attention");
}

}  // namespace

DecoderConfig qwen2_config(const Json& json, std::string_view file) {
  DecoderConfig config =
      read_decoder_config(json, file, {.max_positions = 32768, .key_head_count = 32});
  config.query_bias = true;
  const ConfigFields fields(json, file);
  const std::vector<std::string> types = fields.texts("layer_types");
  if (!types.empty() && types.size() != config.layer_count) {
    fields.refuse("layer_types", concat("one for each of ", config.layer_count, " layers"));
  }
  // "sliding_window": null stands for no window, an absent one for the usual.
  const bool none =
      fields.is_null("sliding_window") || !fields.flag_or("use_sliding_window", false);
  const std::size_t window = none ? 0 : fields.size_or("sliding_window", 4096);
  const auto first_sliding = static_cast<std::size_t>(fields.count_or("max_window_layers", 28));
  for (std::size_t layer = 0; layer < config.layer_count; ++layer) {
    if (is_sliding(types, layer, first_sliding, file)) config.windows[layer] = window;
  }
  return config;
}

}  // namespace helix
