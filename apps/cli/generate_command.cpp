#include <cstdio>
#include <memory>

#include "commands.h"
#include "helix/model.h"
#include "model_options.h"

namespace helix::cli {
namespace {

struct Arguments {
  ModelArguments model;
  std::string prompt;
  bool raw = false;
  GenerateOptions generate;
};

void run(Arguments& arguments) {
  Console console(arguments.model.common);
  const Hooks hooks = console.hooks();
  Model model(arguments.model.path, arguments.model.options(hooks));
  arguments.generate.hooks = hooks;
  const std::vector<std::int32_t> tokens =
      model.encode(read_prompt(arguments.prompt), !arguments.raw, hooks);
  if (arguments.model.common.json) {
    print(generation_json(model.generate(tokens, arguments.generate)));
    return;
  }
  const Generation generation = print_generation(
      [&](const TextCallback& show) { return model.generate(tokens, arguments.generate, show); });
  if (!arguments.model.common.quiet) hooks.info(generation_summary(generation));
}

}  // namespace

void add_generate(CLI::App& app, Context&) {
  auto arguments = std::make_shared<Arguments>();
  arguments->generate.max_tokens = 128;
  CLI::App* command = app.add_subcommand("generate", "Continue a text with a model");
  command->footer(
      "Example:\n  helix generate ./TinyLlama-1.1B-hxq \"The capital of France is\" -n 32\n"
      "  helix generate ./TinyLlama-1.1B-hxq - --temperature 0.7 --top-p 0.9 --seed 1 < "
      "prompt.txt\n\n"
      "The text goes to standard output as it comes; with --json everything at the end. Before a\n"
      "text that begins with a dash goes --.");
  add_model_arguments(*command, arguments->model);
  command
      ->add_option("PROMPT", arguments->prompt,
                   "The text to continue; - reads standard input up to its last line end")
      ->required();
  command->add_flag("--raw", arguments->raw,
                    "Without the special tokens that the tokenizer puts around a text");
  command->add_flag("--ignore-end", arguments->generate.ignore_end_tokens,
                    "Go on where the model would end");
  add_generate_options(*command, arguments->generate);
  command->callback([arguments] { run(*arguments); });
}

}  // namespace helix::cli
