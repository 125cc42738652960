#include "models/rope_config.h"

#include "base/message.h"

namespace helix {
namespace {

RopeScaling parse_scaling(const ConfigFields& rope) {
  const std::string name = rope.text_or("rope_type", rope.text_or("type", "default"));
  if (name == "default") return RopeScaling::kDefault;
  if (name == "linear") return RopeScaling::kLinear;
  if (name == "dynamic") return RopeScaling::kDynamic;
  if (name == "yarn") return RopeScaling::kYarn;
  if (name == "llama3") return RopeScaling::kLlama3;
  throw_error(ErrorCode::kUnsupported, rope.file(), ": rope_type is \"", name,
              "\", this version knows default, linear, dynamic, yarn and llama3");
}

// 0 stands for the default, as null does.
double number_unless_zero(const ConfigFields& fields, const char* key, double otherwise) {
  const double value = fields.number_or(key, otherwise);
  return value == 0.0 ? otherwise : value;
}

void read_yarn(const ConfigFields& parameters, RopeOptions& rope) {
  rope.beta_fast = number_unless_zero(parameters, "beta_fast", 32.0);
  rope.beta_slow = number_unless_zero(parameters, "beta_slow", 1.0);
  if (rope.beta_fast < 0.0) parameters.refuse("beta_fast", "more than 0");
  if (rope.beta_slow < 0.0) parameters.refuse("beta_slow", "more than 0");
  rope.truncate = parameters.flag_or("truncate", !parameters.is_null("truncate"));
  rope.attention_factor = parameters.optional_number("attention_factor");
  rope.mscale = parameters.optional_number("mscale");
  rope.mscale_all_dim = parameters.optional_number("mscale_all_dim");
}

void read_llama3(const ConfigFields& parameters, RopeOptions& rope) {
  rope.low_frequency_factor = parameters.number("low_freq_factor");
  rope.high_frequency_factor = parameters.number("high_freq_factor");
  if (rope.low_frequency_factor <= 0.0 || rope.high_frequency_factor <= rope.low_frequency_factor) {
    parameters.refuse("high_freq_factor", "more than low_freq_factor, which is more than 0");
  }
}

void read_scaling(const ConfigFields& fields, const ConfigFields& parameters, RopeOptions& rope) {
  constexpr const char* kTrained = "original_max_position_embeddings";
  // Beside the scaling it counts first: some models keep the trained length there.
  rope.original_max_positions =
      fields.count_or(kTrained, parameters.count_or(kTrained, rope.max_positions));
  if (rope.original_max_positions == 0) parameters.refuse(kTrained, "1 or more");
  const double ratio =
      static_cast<double>(rope.max_positions) / static_cast<double>(rope.original_max_positions);
  rope.factor = rope.scaling == RopeScaling::kYarn ? parameters.number_or("factor", ratio)
                                                   : parameters.number("factor");
  if (rope.factor < 1.0) parameters.refuse("factor", "1 or more");
  if (rope.scaling == RopeScaling::kYarn) read_yarn(parameters, rope);
  if (rope.scaling == RopeScaling::kLlama3) read_llama3(parameters, rope);
}

void read_parameters(const ConfigFields& fields, const Json& object, RopeOptions& rope) {
  for (const auto& [key, value] : object.items()) {
    if (!value.is_object()) continue;
    throw_error(ErrorCode::kUnsupported, fields.file(), ": RoPE for each kind of layer (", key,
                ") is not known");
  }
  const ConfigFields parameters(object, fields.file());
  rope.theta = parameters.number_or("rope_theta", rope.theta);
  rope.scaling = parse_scaling(parameters);
  if (parameters.number_or("partial_rotary_factor", 1.0) != 1.0) {
    throw_error(ErrorCode::kUnsupported, fields.file(),
                ": a partial_rotary_factor other than 1 is not known");
  }
  if (rope.scaling != RopeScaling::kDefault) read_scaling(fields, parameters, rope);
}

}  // namespace

RopeOptions read_rope_config(const ConfigFields& fields, std::size_t head_dim,
                             std::size_t max_positions) {
  RopeOptions rope;
  rope.head_dim = head_dim;
  rope.max_positions = max_positions;
  rope.theta = fields.number_or("rope_theta", rope.theta);
  const Json* object = fields.object("rope_scaling");
  if (object == nullptr || object->empty()) object = fields.object("rope_parameters");
  if (object != nullptr) read_parameters(fields, *object, rope);
  if (rope.theta <= 1.0) fields.refuse("rope_theta", "more than 1");
  if (rope.scaling == RopeScaling::kDynamic && head_dim <= 2) {
    fields.refuse("head_dim", "more than 2 for dynamic RoPE");
  }
  return rope;
}

}  // namespace helix
