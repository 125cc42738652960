#include <sys/utsname.h>

#include <cmath>

#include "api/model_state.h"
#include "api/peak_memory.h"
#include "base/json.h"
#include "base/thread_pool.h"
#include "helix/model.h"
#include "helix/version.h"

namespace helix {
namespace {

Json model_json(const ModelDescription& model) {
  return {{"model_type", model.model_type},
          {"weights", model.compressed ? "hxq" : "dense"},
          {"dtype", model.dtype},
          {"weight_bytes", model.total_weight_bytes}};
}

Json machine_json(const ModelDescription& model) {
  utsname system{};
  ::uname(&system);
  return {{"architecture", system.machine},
          {"system", system.sysname},
          {"instruction_set", model.instruction_set},
          {"threads", model.thread_count},
          {"processors", hardware_threads()}};
}

Json protocol_json(const Evaluation& evaluation, std::string_view text_name) {
  Json json = {{"name", protocol_name(evaluation.protocol)},
               {"text", text_name},
               {"window", evaluation.window},
               {"stride", evaluation.stride},
               {"text_tokens", evaluation.text_tokens},
               {"windows", evaluation.window_count},
               {"scored_tokens", evaluation.scored_tokens},
               {"computed_tokens", evaluation.computed_tokens},
               {"logits", "F32"},
               {"log_softmax", "F64"}};
  return json;
}

// 4 decimals, as perplexities are published.
double rounded(double value) { return std::round(value * 1e4) / 1e4; }

}  // namespace

std::string evaluation_receipt(const Evaluation& evaluation, const Model& model,
                               const Model* reference, std::string_view text_name,
                               std::span<const std::string> command) {
  const ModelDescription description = model.describe();
  Json json = {
      {"receipt", "helix evaluation"},
      {"version", version()},
      {"command", std::vector<std::string>(command.begin(), command.end())},
      {"machine", machine_json(description)},
      {"precision", precision_name(description.precision)},
      {"protocol", protocol_json(evaluation, text_name)},
      {"model", model_json(description)},
      {"perplexity", rounded(evaluation.perplexity)},
      {"mean_loss", evaluation.mean_loss},
      {"seconds", evaluation.seconds},
      {"tokens_per_second", static_cast<double>(evaluation.computed_tokens) / evaluation.seconds},
      {"peak_memory_bytes", peak_memory()}};
  if (evaluation.comparison && reference != nullptr) {
    const Comparison& comparison = *evaluation.comparison;
    const ModelDescription other = reference->describe();
    json["reference"] = model_json(other);
    json["reference"]["precision"] = precision_name(other.precision);
    json["against"] = {{"perplexity", rounded(comparison.reference_perplexity)},
                       {"delta_percent", comparison.delta_percent},
                       {"mean_divergence", comparison.mean_divergence},
                       {"divergence_standard_error", comparison.divergence_error},
                       {"divergence_p99", comparison.divergence_p99},
                       {"same_top_share", comparison.same_top_share}};
  }
  // Paths need not be UTF-8; the receipt has to be.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace helix
