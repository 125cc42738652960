#pragma once

#include "models/decoder_config.h"

namespace helix {

// Llama 1 to 3 (LlamaForCausalLM), TinyLlama, SmolLM2: biases where attention_bias and mlp_bias ask
// for them. Throws as read_decoder_config.
DecoderConfig llama_config(const Json& config, std::string_view file);

}  // namespace helix
