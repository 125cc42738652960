#include "models/decoder_config.h"

#include <limits>

#include "base/message.h"

namespace helix {
namespace {

constexpr std::size_t kMostLayers = 4096;
// What the attention kernel takes.
constexpr std::size_t kLargestHead = 1024;
constexpr std::size_t kMostSharedHeads = 64;

void read_sizes(const ConfigFields& fields, const DecoderDefaults& defaults,
                DecoderConfig& config) {
  config.vocabulary_size = fields.size("vocab_size");
  config.hidden_size = fields.size("hidden_size");
  config.intermediate_size = fields.size("intermediate_size");
  config.layer_count = fields.size("num_hidden_layers");
  config.head_count = fields.size("num_attention_heads");
  const bool as_many = defaults.key_head_count == 0 || fields.is_null("num_key_value_heads");
  config.key_head_count =
      fields.size_or("num_key_value_heads", as_many ? config.head_count : defaults.key_head_count);
  config.max_positions = fields.size_or("max_position_embeddings", defaults.max_positions);
  if (config.layer_count > kMostLayers) fields.refuse("num_hidden_layers", "at most 4096");
  if (config.head_count % config.key_head_count != 0) {
    fields.refuse("num_key_value_heads",
                  concat("a divisor of num_attention_heads, ", config.head_count));
  }
  if (!fields.has("head_dim") && config.hidden_size % config.head_count != 0) {
    fields.refuse("num_attention_heads", concat("a divisor of hidden_size, ", config.hidden_size));
  }
  config.head_dim = fields.size_or("head_dim", config.hidden_size / config.head_count);
  if (config.head_dim % 2 != 0 || config.head_dim > kLargestHead) {
    throw_error(ErrorCode::kCorruptData, fields.file(), ": head_dim is ", config.head_dim,
                ", expected an even number up to ", kLargestHead);
  }
  if (config.head_count / config.key_head_count > kMostSharedHeads) {
    fields.refuse("num_key_value_heads", "at least one for 64 attention heads");
  }
}

std::int32_t token_id(const Json& value, std::string_view file) {
  const bool fits = value.is_number_unsigned() &&
                    value.get<std::uint64_t>() <= std::numeric_limits<std::int32_t>::max();
  if (!fits) {
    throw_error(ErrorCode::kCorruptData, file, ": eos_token_id holds ", value.dump(),
                ", expected a token id");
  }
  return value.get<std::int32_t>();
}

}  // namespace

std::vector<std::int32_t> read_end_tokens(const Json& config, std::string_view file) {
  const auto found = config.find("eos_token_id");
  if (found == config.end() || found->is_null()) return {};
  std::vector<std::int32_t> ids;
  const auto add = [&](const Json& id) {
    const bool negative = id.is_number_integer() && !id.is_number_unsigned();
    if (!negative) ids.push_back(token_id(id, file));  // -1: there is none
  };
  if (found->is_array()) {
    for (const Json& id : *found) add(id);
  } else {
    add(*found);
  }
  return ids;
}

DecoderConfig read_decoder_config(const Json& json, std::string_view file,
                                  const DecoderDefaults& defaults) {
  const ConfigFields fields(json, file);
  DecoderConfig config;
  config.model_type = fields.text_or("model_type", "");
  read_sizes(fields, defaults, config);
  const double epsilon = fields.number_or("rms_norm_eps", 1e-6);
  if (epsilon < 0.0 || epsilon > 1.0) fields.refuse("rms_norm_eps", "a number from 0 to 1");
  config.norm_epsilon = static_cast<float>(epsilon);
  config.tied_embeddings = fields.flag_or("tie_word_embeddings", false);
  const std::string activation = fields.text_or("hidden_act", "silu");
  if (activation != "silu" && activation != "swish") {
    throw_error(ErrorCode::kUnsupported, file, ": hidden_act is \"", activation,
                "\", this version knows \"silu\"");
  }
  if (!fields.flag_or("is_causal", true)) {
    throw_error(ErrorCode::kUnsupported, file,
                ": is_causal is false, this version attends to what comes before only");
  }
  config.windows.assign(config.layer_count, 0);
  config.rope = read_rope_config(fields, config.head_dim, config.max_positions);
  config.end_tokens = read_end_tokens(json, file);
  return config;
}

}  // namespace helix
