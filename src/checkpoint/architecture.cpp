// What config.json says about the sizes of the weights, for the architectures that old packed files
// exist of.

#include <algorithm>
#include <cmath>

#include "base/message.h"
#include "checkpoint/checkpoint.h"

namespace helix {
namespace {

using Extents = std::optional<std::pair<std::uint64_t, std::uint64_t>>;

// No real size is larger, and products of two such sizes and sums of those fit in 64 bits.
constexpr std::uint64_t kMaxSize = std::uint64_t{1} << 30;

// Sizes of config.json by name; 0 where absent or none.
class Sizes {
 public:
  explicit Sizes(const Json& config) : config_(config) {}
  std::uint64_t operator[](const char* key) const {
    const auto found = config_.find(key);
    if (found == config_.end() || !found->is_number_unsigned()) return 0;
    const auto size = found->get<std::uint64_t>();
    return size <= kMaxSize ? size : 0;
  }
  std::uint64_t get(const char* key, std::uint64_t otherwise) const {
    const std::uint64_t size = (*this)[key];
    return size != 0 ? size : otherwise;
  }

 private:
  const Json& config_;
};

// "model.layers.3.self_attn.q_proj.weight" -> "q_proj"; "….A_log" -> "A_log"
std::string_view last_module(std::string_view key) {
  if (key.ends_with(".weight")) key.remove_suffix(7);
  return key.substr(key.rfind('.') + 1);
}

Extents decoder_shape(const Sizes& sizes, std::string_view module) {
  const std::uint64_t hidden = sizes["hidden_size"];
  const std::uint64_t heads = sizes["num_attention_heads"];
  const std::uint64_t head = sizes.get("head_dim", heads == 0 ? 0 : hidden / heads);
  const std::uint64_t key_heads = sizes.get("num_key_value_heads", heads);
  const std::uint64_t inner = sizes["intermediate_size"];
  if (module == "q_proj") return std::pair{heads * head, hidden};
  if (module == "k_proj" || module == "v_proj") return std::pair{key_heads * head, hidden};
  if (module == "o_proj") return std::pair{hidden, heads * head};
  if (module == "gate_proj" || module == "up_proj") return std::pair{inner, hidden};
  if (module == "down_proj") return std::pair{hidden, inner};
  if (module == "embed_tokens" || module == "lm_head")
    return std::pair{sizes["vocab_size"], hidden};
  return std::nullopt;
}

Extents mamba_shape(const Sizes& sizes, std::string_view module) {
  const std::uint64_t hidden = sizes["hidden_size"];
  const std::uint64_t inner = sizes.get("intermediate_size", sizes.get("expand", 2) * hidden);
  const std::uint64_t state = sizes["state_size"];
  const std::uint64_t rank = sizes.get("time_step_rank", (hidden + 15) / 16);
  if (module == "in_proj") return std::pair{2 * inner, hidden};
  if (module == "x_proj") return std::pair{rank + 2 * state, inner};
  if (module == "dt_proj") return std::pair{inner, rank};
  if (module == "out_proj") return std::pair{hidden, inner};
  if (module == "A_log") return std::pair{inner, state};
  if (module == "embeddings" || module == "lm_head") return std::pair{sizes["vocab_size"], hidden};
  return std::nullopt;
}

Extents mamba2_shape(const Sizes& sizes, std::string_view module) {
  const std::uint64_t hidden = sizes["hidden_size"];
  const std::uint64_t inner = sizes.get("expand", 2) * hidden;
  const std::uint64_t state = sizes["state_size"];
  const std::uint64_t groups = sizes.get("n_groups", 1);
  if (module == "in_proj")
    return std::pair{2 * inner + 2 * groups * state + sizes["num_heads"], hidden};
  if (module == "out_proj") return std::pair{hidden, inner};
  if (module == "embeddings" || module == "lm_head") return std::pair{sizes["vocab_size"], hidden};
  return std::nullopt;
}

Extents zamba2_shape(const Sizes& sizes, std::string_view key, std::string_view module) {
  const std::uint64_t hidden = sizes["hidden_size"];
  const std::uint64_t inner = sizes.get("mamba_expand", 2) * hidden;
  const std::uint64_t state = sizes["mamba_d_state"];
  const std::uint64_t groups = sizes.get("mamba_ngroups", 1);
  const std::uint64_t attention = sizes.get("attention_hidden_size", 2 * hidden);
  const std::uint64_t heads = sizes["num_attention_heads"];
  const std::uint64_t head = sizes.get("attention_head_dim", heads == 0 ? 0 : attention / heads);
  const std::uint64_t feed_forward = sizes["intermediate_size"];
  const std::uint64_t rank = sizes["adapter_rank"];
  if (module == "in_proj")
    return std::pair{2 * inner + 2 * groups * state + sizes["n_mamba_heads"], hidden};
  if (module == "out_proj") return std::pair{hidden, inner};
  if (module == "linear") return std::pair{hidden, hidden};
  if (module == "q_proj") return std::pair{heads * head, attention};
  if (module == "k_proj" || module == "v_proj") {
    return std::pair{sizes.get("num_key_value_heads", heads) * head, attention};
  }
  if (module == "o_proj") return std::pair{hidden, heads * head};
  if (module == "gate_up_proj") return std::pair{2 * feed_forward, hidden};
  if (module == "down_proj") return std::pair{hidden, feed_forward};
  if (key.find("gate_up_proj_adapter_list.") != std::string_view::npos) {
    return module == "0" ? std::pair{rank, hidden} : std::pair{2 * feed_forward, rank};
  }
  if (key.find("linear_") != std::string_view::npos &&
      key.find("_adapter_list.") != std::string_view::npos) {
    return module == "0" ? std::pair{rank, attention} : std::pair{heads * head, rank};
  }
  if (module == "embed_tokens" || module == "lm_head")
    return std::pair{sizes["vocab_size"], hidden};
  return std::nullopt;
}

std::string model_type_of(const Json& config) {
  const auto found = config.find("model_type");
  return found != config.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool is_decoder(const std::string& model_type) {
  return model_type == "llama" || model_type == "mistral" || model_type == "qwen2";
}

}  // namespace

Extents dense_shape_from_config(const Json& config, std::string_view dense_key) {
  const Sizes sizes(config);
  const std::string model_type = model_type_of(config);
  const std::string_view module = last_module(dense_key);
  Extents shape;
  if (is_decoder(model_type)) shape = decoder_shape(sizes, module);
  if (model_type == "mamba") shape = mamba_shape(sizes, module);
  if (model_type == "mamba2") shape = mamba2_shape(sizes, module);
  if (model_type == "zamba2") shape = zamba2_shape(sizes, dense_key, module);
  if (shape && (shape->first == 0 || shape->second == 0))
    return std::nullopt;  // the config lacks a size
  return shape;
}

std::vector<std::string> expected_dense_keys(const Json& config) {
  constexpr std::uint64_t kMaxLayers = 10'000;
  if (!is_decoder(model_type_of(config))) return {};
  const std::uint64_t layers = Sizes(config)["num_hidden_layers"];
  if (layers > kMaxLayers) return {};
  std::vector<std::string> keys = {"model.embed_tokens.weight", "model.norm.weight"};
  for (std::uint64_t layer = 0; layer < layers; ++layer) {
    for (const char* module : {"input_layernorm", "post_attention_layernorm", "self_attn.q_proj",
                               "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
                               "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"}) {
      keys.push_back(concat("model.layers.", layer, ".", module, ".weight"));
    }
  }
  const auto tied = config.find("tie_word_embeddings");
  const bool is_tied = tied != config.end() && tied->is_boolean() && tied->get<bool>();
  if (!is_tied) keys.emplace_back("lm_head.weight");
  return keys;
}

}  // namespace helix
