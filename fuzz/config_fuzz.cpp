// The text of a config.json: writing what was read and reading that again changes nothing, and
// whatever the section on quantisation and the sizes say is refused or makes sense.

#include <cstdint>
#include <string>

#include "base/checked.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/quantization_config.h"
#include "fuzz/require.h"
#include "helix/error.h"

namespace helix {
namespace {

using fuzz::require;

constexpr const char* kKeys[] = {
    "model.layers.0.self_attn.q_proj.weight",
    "model.layers.0.self_attn.k_proj.weight",
    "model.layers.0.self_attn.o_proj.weight",
    "model.layers.0.mlp.up_proj.weight",
    "model.layers.0.mlp.down_proj.weight",
    "model.embed_tokens.weight",
    "lm_head.weight",
    "backbone.layers.0.mixer.in_proj.weight",
    "backbone.layers.0.mixer.x_proj.weight",
    "backbone.layers.0.mixer.dt_proj.weight",
    "backbone.layers.0.mixer.out_proj.weight",
    "backbone.layers.0.mixer.A_log",
    "model.layers.1.shared_transformer.feed_forward.gate_up_proj.weight",
    "model.layers.1.shared_transformer.feed_forward.gate_up_proj_adapter_list.0.1.weight",
    "model.layers.1.shared_transformer.self_attn.linear_q_adapter_list.0.0.weight",
    "model.layers.1.linear.weight",
    "",
};

void check_round_trip(const Json& config) {
  const std::string text = dump_python_json(config);
  try {
    require(dump_python_json(parse_config(text, "again")) == text, "a second dump differs");
  } catch (const Error& error) {
    require(false, error.what());
  }
}

void check_shapes(const Json& config) {
  for (const char* key : kKeys) {
    const auto shape = dense_shape_from_config(config, key);
    if (!shape) continue;
    require(shape->first > 0 && shape->second > 0, "an empty shape");
    require(checked_multiply(shape->first, shape->second).has_value(), "a shape that overflows");
  }
}

void check_quantization(const Json& config) {
  try {
    const QuantizationConfig quantization = read_quantization_config(config, "input");
    require(!quantization.compressed || quantization.foreign_method.empty(), "two methods");
    for (const std::string& module : quantization.compressed_modules) {
      listed_dense_shape(config, module, "input");
    }
  } catch (const Error& error) {
    require(error.code() == ErrorCode::kCorruptData, "another code than corrupt data");
  }
}

// Its list of keys has nine names a layer, which would take most of the time.
bool has_few_layers(const Json& config) {
  const auto layers = config.find("num_hidden_layers");
  return layers == config.end() || !layers->is_number_unsigned() ||
         layers->get<std::uint64_t>() < 8 || layers->get<std::uint64_t>() > 10'000;
}

}  // namespace
}  // namespace helix

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  helix::Json config;
  try {
    config = helix::parse_config({reinterpret_cast<const char*>(data), size}, "input");
  } catch (const helix::Error&) {
    return 0;
  }
  helix::check_round_trip(config);
  helix::check_shapes(config);
  helix::check_quantization(config);
  if (helix::has_few_layers(config)) helix::expected_dense_keys(config);
  return 0;
}
