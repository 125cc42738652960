#pragma once

#include "models/decoder_config.h"

namespace helix {

// Qwen2 and Qwen2.5 (Qwen2ForCausalLM): biases on query, key and value; with use_sliding_window the
// layers from max_window_layers on see only the last sliding_window positions. Throws as
// read_decoder_config.
DecoderConfig qwen2_config(const Json& config, std::string_view file);

}  // namespace helix
