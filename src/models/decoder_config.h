#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "models/config_fields.h"
#include "models/rope_config.h"

namespace helix {

// The sizes and switches of a decoder-only transformer, as its config.json states them.
struct DecoderConfig {
  std::string model_type;
  std::size_t vocabulary_size = 0;
  std::size_t hidden_size = 0;
  std::size_t intermediate_size = 0;
  std::size_t layer_count = 0;
  std::size_t head_count = 0;
  std::size_t key_head_count = 0;  // divides head_count
  std::size_t head_dim = 0;        // even
  std::size_t max_positions = 0;
  float norm_epsilon = 0.0F;
  bool tied_embeddings = false;
  bool query_bias = false;  // of the query, key and value projections
  bool output_bias = false;
  bool feed_forward_bias = false;
  std::vector<std::size_t> windows;  // (layers): positions a layer sees back, 0 for all
  RopeOptions rope;
  std::vector<std::int32_t> end_tokens;  // eos_token_id
};

// What config.json leaves out, by the architecture; 0: as many as there are query heads.
struct DecoderDefaults {
  std::size_t max_positions;
  std::size_t key_head_count;
};

// What all of them have in common. `file` names config.json in messages. Throws Error(kCorruptData)
// for what is missing or makes no sense, kUnsupported for an activation, attention or RoPE form
// that is not known.
DecoderConfig read_decoder_config(const Json& config, std::string_view file,
                                  const DecoderDefaults& defaults);

// eos_token_id of config.json or generation_config.json: one id, a list, or nothing.
std::vector<std::int32_t> read_end_tokens(const Json& config, std::string_view file);

}  // namespace helix
