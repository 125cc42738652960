#include <filesystem>
#include <memory>
#include <optional>

#include "commands.h"
#include "helix/model.h"
#include "model_options.h"
#include "receipt_file.h"
#include "text.h"
#include "validators.h"

namespace helix::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  ModelArguments model;
  std::string text;
  std::string protocol = "card";
  std::string against;
  std::string receipt;
  EvaluateOptions evaluate;
};

EvaluationProtocol parse_protocol(const std::string& name) {
  if (name == "fast") return EvaluationProtocol::kFast;
  if (name == "documents") return EvaluationProtocol::kDocuments;
  return EvaluationProtocol::kCard;
}

std::string report_text(const Evaluation& result) {
  std::string text = std::string("protocol ") + protocol_name(result.protocol) + ": windows of " +
                     std::to_string(result.window) + ", stride " + std::to_string(result.stride) +
                     ", " + std::to_string(result.text_tokens) + " tokens of text, " +
                     std::to_string(result.scored_tokens) + " scored\n" +
                     std::to_string(result.computed_tokens) + " computed in " +
                     fixed(result.seconds, 1) + " s (" +
                     fixed(static_cast<double>(result.computed_tokens) / result.seconds, 1) +
                     " per second)\nperplexity " + fixed(result.perplexity, 4) + "\n";
  if (!result.comparison) return text;
  const Comparison& comparison = *result.comparison;
  return text + "against the dense model: perplexity " + fixed(comparison.reference_perplexity, 4) +
         ", delta " + fixed(comparison.delta_percent, 4) + " %\nKL divergence " +
         fixed(comparison.mean_divergence, 6) + " +- " + fixed(comparison.divergence_error, 6) +
         ", 99th percentile " + fixed(comparison.divergence_p99, 6) + "\nsame most likely token " +
         fixed(100.0 * comparison.same_top_share, 3) + " %\n";
}

void run(Arguments& arguments, const Context& context) {
  arguments.evaluate.protocol = parse_protocol(arguments.protocol);
  std::optional<ReceiptFile> file;
  if (!arguments.receipt.empty()) file.emplace(arguments.receipt);
  Console console(arguments.model.common);
  const Hooks hooks = console.hooks();
  const std::string text = read_text(arguments.text);
  Model model(arguments.model.path, arguments.model.options(hooks));
  std::optional<Model> dense;
  if (!arguments.against.empty()) {
    ModelOptions exact = arguments.model.options(hooks);
    exact.precision = Precision::kF32;  // what is measured against does not err itself
    dense.emplace(arguments.against, exact);
  }
  arguments.evaluate.hooks = hooks;
  Model* reference = dense ? &*dense : nullptr;
  const Evaluation result = model.evaluate(text, arguments.evaluate, reference);
  const std::string name = fs::path(arguments.text).filename().string();
  const std::string receipt =
      evaluation_receipt(result, model, reference, name, context.command_line);
  const std::string shown = arguments.model.common.json ? receipt : report_text(result);
  try {  // whether or not one of the two places is gone by now, the other has the result
    if (file) file->write(receipt);
  } catch (const Error&) {
    print(shown);
    throw;
  }
  print(shown);
}

}  // namespace

void add_eval(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("eval", "Measure perplexity, and the divergence from the dense model");
  command->footer(
      "Example:\n  helix eval ./TinyLlama-1.1B-hxq --text wiki.test.raw\n"
      "  helix eval ./TinyLlama-1.1B-hxq --text wiki.test.raw --protocol fast --window 1024 "
      "--tokens 4096 \\\n      --against ./TinyLlama-1.1B --receipt eval.json\n\n"
      "card: windows of 2048 tokens at stride 512, only tokens not scored before count (what the\n"
      "published figures use). fast: windows that do not overlap. documents: every part between\n"
      "separators is a text of its own.");
  add_model_arguments(*command, arguments->model);
  command->add_option("--text", arguments->text, "File to score; - reads standard input")
      ->type_name("FILE")
      ->required();
  command->add_option("--protocol", arguments->protocol, "Which tokens count")
      ->check(CLI::IsMember({"card", "fast", "documents"}))
      ->capture_default_str();
  EvaluateOptions& options = arguments->evaluate;
  command
      ->add_option("--window", options.window,
                   "Tokens a window has; the default is 2048, and the whole context for documents")
      ->type_name("N")
      ->check(whole_number(2, kMostTokens));
  CLI::Option* stride =
      command
          ->add_option("--stride", options.stride,
                       "Tokens between windows (card); the default is a quarter of the window")
          ->type_name("N")
          ->check(whole_number(1, kMostTokens));
  CLI::Option* tokens = command
                            ->add_option("--tokens", options.max_tokens,
                                         "Only the first N tokens of the text (card and fast)")
                            ->type_name("N")
                            ->check(whole_number(1, UINT32_MAX));
  CLI::Option* separator =
      command->add_option("--separator", options.separator, "Between texts (documents)")
          ->capture_default_str();
  command
      ->add_option("--against", arguments->against,
                   "The dense model, computed in f32: adds delta, KL divergence and same-top share")
      ->type_name("DENSE")
      ->check(not_empty());
  command->add_option("--receipt", arguments->receipt, "Write the result as JSON to this file")
      ->type_name("FILE")
      ->check(not_empty());
  command->callback([=, &context] {
    const auto only_with = [&](const CLI::Option* option, bool suits, const char* protocols) {
      if (option->count() == 0 || suits) return;
      throw Error(ErrorCode::kInvalidArgument, option->get_name() + " is for --protocol " +
                                                   protocols + ", not " + arguments->protocol);
    };
    only_with(stride, arguments->protocol == "card", "card");
    only_with(tokens, arguments->protocol != "documents", "card or fast");
    only_with(separator, arguments->protocol == "documents", "documents");
    run(*arguments, context);
  });
}

}  // namespace helix::cli
