#include "evaluation.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <mutex>
#include <optional>
#include <vector>

#include "fields.h"
#include "helix/error.h"
#include "helix/evaluation.h"
#include "long_work.h"

namespace nb = nanobind;

namespace helix::python {
namespace {

EvaluationProtocol protocol_of(const std::string& name) {
  using enum EvaluationProtocol;
  for (const EvaluationProtocol protocol : {kCard, kFast, kDocuments}) {
    if (name == protocol_name(protocol)) return protocol;
  }
  throw Error(ErrorCode::kInvalidArgument,
              "protocol '" + name + "', expected 'card', 'fast' or 'documents'");
}

EvaluateOptions evaluate_options(const nb::dict& fields) {
  const auto count = [&](const char* name) { return field<std::size_t>(fields, name); };
  EvaluateOptions options;
  options.protocol = protocol_of(field<std::string>(fields, "protocol"));
  options.window = count("window");
  options.stride = count("stride");
  options.max_tokens = count("max_tokens");
  options.separator = field<std::string>(fields, "separator");
  return options;
}

nb::dict comparison_dict(const Comparison& comparison) {
  nb::dict result;
  result["reference_perplexity"] = comparison.reference_perplexity;
  result["delta_percent"] = comparison.delta_percent;
  result["mean_divergence"] = comparison.mean_divergence;
  result["divergence_error"] = comparison.divergence_error;
  result["divergence_p99"] = comparison.divergence_p99;
  result["same_top_share"] = comparison.same_top_share;
  return result;
}

nb::dict evaluation_dict(const Evaluation& found) {
  nb::dict result;
  result["protocol"] = protocol_name(found.protocol);
  result["window"] = found.window;
  result["stride"] = found.stride;
  result["text_tokens"] = found.text_tokens;
  result["scored_tokens"] = found.scored_tokens;
  result["computed_tokens"] = found.computed_tokens;
  result["window_count"] = found.window_count;
  result["mean_loss"] = found.mean_loss;
  result["perplexity"] = found.perplexity;
  result["seconds"] = found.seconds;
  result["comparison"] =
      found.comparison ? nb::object(comparison_dict(*found.comparison)) : nb::none();
  return result;
}

}  // namespace

nb::dict evaluate_text(SharedModel& shared, const std::string& text, const nb::dict& fields,
                       SharedModel* reference, const nb::object& progress, const nb::object& log) {
  if (reference == &shared) {
    throw Error(ErrorCode::kInvalidArgument, "a model cannot be its own reference");
  }
  EvaluateOptions options = evaluate_options(fields);
  const auto text_name = field<std::string>(fields, "text_name");
  const auto command = field<std::vector<std::string>>(fields, "command");
  Model* other = reference == nullptr ? nullptr : &reference->model;
  Evaluation evaluation;
  std::string receipt;
  run_interruptibly({progress, log}, [&](const Hooks& hooks) {
    options.hooks = hooks;
    std::unique_lock lock(shared.mutex, std::defer_lock);
    std::unique_lock<std::mutex> other_lock;
    if (reference == nullptr) {
      lock.lock();
    } else {
      other_lock = std::unique_lock(reference->mutex, std::defer_lock);
      std::lock(lock, other_lock);
    }
    evaluation = shared.model.evaluate(text, options, other);
    receipt = evaluation_receipt(evaluation, shared.model, other, text_name, command);
  });
  nb::dict result = evaluation_dict(evaluation);
  result["receipt"] = receipt;
  return result;
}

}  // namespace helix::python
