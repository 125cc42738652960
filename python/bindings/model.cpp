#include "helix/model.h"

#include <nanobind/nanobind.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "arrays.h"
#include "evaluation.h"
#include "fields.h"
#include "helix/error.h"
#include "long_work.h"
#include "model.h"
#include "module.h"

namespace nb = nanobind;

namespace helix::python {
namespace {

using TokenArray = InArray<std::int32_t, nb::ndim<1>>;
using Messages = std::vector<std::pair<std::string, std::string>>;

nb::object token_array(std::vector<std::int32_t> tokens) {
  const std::size_t count = tokens.size();
  return numpy_from(std::move(tokens), {count});
}

void open_model(SharedModel* place, const std::filesystem::path& folder, std::size_t threads,
                std::string_view precision, std::size_t context_length, const nb::object& log) {
  ModelOptions options;
  options.thread_count = threads;
  options.precision = precision_of(precision);
  options.context_length = context_length;
  std::optional<Model> model;
  run_interruptibly({nb::none(), log}, [&](const Hooks& hooks) {
    options.hooks = hooks;
    model.emplace(folder, options);
  });
  new (place) SharedModel(std::move(*model));
}

nb::dict describe(const SharedModel& shared) {
  const ModelDescription found = shared.model.describe();
  nb::dict result;
  result["model_type"] = found.model_type;
  result["compressed"] = found.compressed;
  result["dtype"] = found.dtype;
  result["precision"] = precision_name(found.precision);
  result["instruction_set"] = found.instruction_set;
  result["thread_count"] = found.thread_count;
  result["vocabulary_size"] = found.vocabulary_size;
  result["context_length"] = found.context_length;
  result["token_weight_bytes"] = found.token_weight_bytes;
  result["total_weight_bytes"] = found.total_weight_bytes;
  return result;
}

// GenerateOptions as Python hands it over, a dict of its fields.
GenerateOptions generate_options(const nb::dict& fields) {
  const auto number = [&](const char* name) { return field<double>(fields, name); };
  const auto count = [&](const char* name) { return field<std::size_t>(fields, name); };
  GenerateOptions options;
  options.max_tokens = count("max_tokens");
  options.sampling = {.temperature = number("temperature"),
                      .top_k = count("top_k"),
                      .top_p = number("top_p"),
                      .min_p = number("min_p"),
                      .repetition_penalty = number("repetition_penalty"),
                      .presence_penalty = number("presence_penalty"),
                      .seed = field<std::uint64_t>(fields, "seed")};
  options.stop = field<std::vector<std::string>>(fields, "stop");
  options.ignore_end_tokens = field<bool>(fields, "ignore_end_tokens");
  options.skip_special_tokens = field<bool>(fields, "skip_special_tokens");
  return options;
}

TextCallback text_callback(const nb::object& function) {
  if (function.is_none()) return {};
  return [&function](std::string_view text) {
    const nb::gil_scoped_acquire interpreter;
    return nb::cast<bool>(function(nb::str(text.data(), text.size())));
  };
}

nb::dict generation_dict(Generation found) {
  nb::dict result;
  result["text"] = nb::steal(PyUnicode_DecodeUTF8(
      found.text.data(), static_cast<Py_ssize_t>(found.text.size()), "replace"));
  result["tokens"] = token_array(std::move(found.tokens));
  result["finish"] = finish_reason_name(found.finish);
  result["prompt_tokens"] = found.prompt_tokens;
  result["reused_tokens"] = found.reused_tokens;
  result["prompt_seconds"] = found.prompt_seconds;
  result["generate_seconds"] = found.generate_seconds;
  return result;
}

template <typename Run>
nb::dict run_generation(SharedModel& shared, const nb::dict& fields, const nb::object& on_text,
                        const Run& run) {
  GenerateOptions options = generate_options(fields);
  const TextCallback callback = text_callback(on_text);
  Generation generation;
  run_interruptibly({nb::none(), nb::none()}, [&](const Hooks& hooks) {
    options.hooks = hooks;
    const std::lock_guard lock(shared.mutex);
    generation = run(shared.model, options, callback);
  });
  return generation_dict(std::move(generation));
}

nb::dict generate_text(SharedModel& shared, const std::string& prompt, const nb::dict& options,
                       const nb::object& on_text) {
  return run_generation(shared, options, on_text,
                        [&](Model& model, const auto& chosen, const auto& callback) {
                          return model.generate(std::string_view(prompt), chosen, callback);
                        });
}

nb::dict generate_tokens(SharedModel& shared, const TokenArray& prompt, const nb::dict& options,
                         const nb::object& on_text) {
  const std::vector<std::int32_t> tokens = to_vector(prompt);
  return run_generation(shared, options, on_text,
                        [&](Model& model, const auto& chosen, const auto& callback) {
                          return model.generate(std::span(tokens), chosen, callback);
                        });
}

std::vector<ChatMessage> chat_messages(const Messages& messages) {
  std::vector<ChatMessage> result;
  for (const auto& [role, content] : messages) result.push_back({role, content});
  return result;
}

nb::dict chat(SharedModel& shared, const Messages& messages, const nb::dict& options,
              const nb::object& on_text) {
  const std::vector<ChatMessage> list = chat_messages(messages);
  return run_generation(shared, options, on_text,
                        [&](Model& model, const auto& chosen, const auto& callback) {
                          return model.chat(list, chosen, callback);
                        });
}

std::string render_chat(const SharedModel& shared, const Messages& messages) {
  return shared.model.render_chat(chat_messages(messages));
}

nb::object encode_text(const SharedModel& shared, std::string_view text, bool add_special_tokens) {
  std::vector<std::int32_t> tokens;
  {
    const nb::gil_scoped_release no_interpreter;
    tokens = shared.model.encode(text, add_special_tokens);
  }
  return token_array(std::move(tokens));
}

nb::object decode_tokens(const SharedModel& shared, const TokenArray& tokens,
                         bool skip_special_tokens) {
  const std::string text = shared.model.decode({tokens.data(), tokens.size()}, skip_special_tokens);
  return nb::steal(
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace"));
}

nb::object logits(SharedModel& shared, const TokenArray& tokens, bool last_only) {
  const std::vector<std::int32_t> ids = to_vector(tokens);
  std::vector<float> values;
  run_interruptibly({nb::none(), nb::none()}, [&](const Hooks& hooks) {
    const std::lock_guard lock(shared.mutex);
    values = shared.model.logits(ids, last_only, hooks);
  });
  const std::size_t rows = last_only && !ids.empty() ? 1 : ids.size();
  const std::size_t columns = rows == 0 ? 0 : values.size() / rows;
  return numpy_from(std::move(values), {rows, columns});
}

}  // namespace

Precision precision_of(std::string_view name) {
  if (name == "f32") return Precision::kF32;
  if (name == "bf16") return Precision::kBf16;
  throw Error(ErrorCode::kInvalidArgument,
              "precision '" + std::string(name) + "', expected 'f32' or 'bf16'");
}

void bind_model(nb::module_& module) {
  nb::class_<SharedModel>(module, "Model")
      .def("__init__", open_model, nb::arg("folder"), nb::arg("threads"), nb::arg("precision"),
           nb::arg("context_length"), nb::arg("log").none())
      .def("describe", describe)
      .def("encode", encode_text, nb::arg("text"), nb::arg("add_special_tokens") = true)
      .def("decode", decode_tokens, nb::arg("tokens"), nb::arg("skip_special_tokens") = true)
      .def("generate_text", generate_text, nb::arg("prompt"), nb::arg("options"),
           nb::arg("on_text").none())
      .def("generate_tokens", generate_tokens, nb::arg("prompt"), nb::arg("options"),
           nb::arg("on_text").none())
      .def("chat", chat, nb::arg("messages"), nb::arg("options"), nb::arg("on_text").none())
      .def("render_chat", render_chat, nb::arg("messages"))
      .def_prop_ro("has_chat_template",
                   [](const SharedModel& shared) { return shared.model.has_chat_template(); })
      .def("logits", logits, nb::arg("tokens"), nb::arg("last_only") = false)
      .def("evaluate", evaluate_text, nb::arg("text"), nb::arg("options"),
           nb::arg("reference").none(), nb::arg("progress").none(), nb::arg("log").none());
}

}  // namespace helix::python
