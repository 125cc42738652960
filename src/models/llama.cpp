#include "models/llama.h"

namespace helix {

DecoderConfig llama_config(const Json& json, std::string_view file) {
  DecoderConfig config =
      read_decoder_config(json, file, {.max_positions = 2048, .key_head_count = 0});
  const ConfigFields fields(json, file);
  config.query_bias = fields.flag_or("attention_bias", false);
  config.output_bias = config.query_bias;
  config.feed_forward_bias = fields.flag_or("mlp_bias", false);
  return config;
}

}  // namespace helix
