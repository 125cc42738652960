#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>
#include <string>

#include "commands.h"
#include "helix/model.h"
#include "model_options.h"

namespace helix::cli {
namespace {

struct Arguments {
  ModelArguments model;
  std::string system;
  std::string message;
  GenerateOptions generate;
};

class Conversation {
 public:
  Conversation(Model& model, const Arguments& arguments, const Hooks& hooks)
      : model_(model), options_(arguments.generate), hooks_(hooks) {
    options_.hooks = hooks;
    if (!arguments.system.empty()) messages_.push_back({"system", arguments.system});
    first_ = messages_.size();
  }

  Generation answer(const std::string& message, const TextCallback& on_text) {
    messages_.push_back({"user", message});
    Generation generation = model_.chat(messages_, options_, on_text);
    messages_.push_back({"assistant", generation.text});
    return generation;
  }
  void forget() { messages_.resize(first_); }

 private:
  Model& model_;
  GenerateOptions options_;
  Hooks hooks_;
  std::vector<ChatMessage> messages_;
  std::size_t first_ = 0;
};

bool show(std::string_view piece) {
  print(std::string(piece));
  return true;
}

// Reads lines until /exit or the end of input. Ctrl-C while the model answers ends the program.
void talk(Conversation& conversation, const Hooks& hooks, bool quiet) {
  const bool terminal = ::isatty(STDIN_FILENO) == 1;
  if (terminal && !quiet) hooks.info("/exit ends, /new forgets what was said");
  std::string line;
  for (;;) {
    if (terminal) {
      std::fputs("> ", stderr);
      std::fflush(stderr);
    }
    if (!std::getline(std::cin, line) || line == "/exit") break;
    hooks.check_cancelled();
    if (line.empty()) continue;
    if (line == "/new") {
      conversation.forget();
      continue;
    }
    const Generation generation = conversation.answer(line, show);
    print("\n");
    if (terminal && !quiet) hooks.info(generation_summary(generation));
  }
  hooks.check_cancelled();
}

void run(const Arguments& arguments) {
  const CommonOptions& common = arguments.model.common;
  Console console(common);
  const Hooks hooks = console.hooks();
  Model model(arguments.model.path, arguments.model.options(hooks));
  model.render_chat({{ChatMessage{"user", "?"}}});  // a broken template shows before the first line
  Conversation conversation(model, arguments, hooks);
  if (arguments.message.empty()) return talk(conversation, hooks, common.quiet);
  const std::string message = arguments.message == "-" ? read_text("-") : arguments.message;
  if (common.json) {
    print(generation_json(conversation.answer(message, {})));
    return;
  }
  const Generation generation = conversation.answer(message, show);
  print("\n");
  if (!common.quiet) hooks.info(generation_summary(generation));
}

}  // namespace

void add_chat(CLI::App& app, Context&) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("chat", "Talk with a model that has a chat template");
  command->footer(
      "Example:\n  helix chat ./TinyLlama-1.1B-hxq --system \"You are brief.\"\n"
      "  helix chat ./TinyLlama-1.1B-hxq --message \"Name three colours.\" --json\n\n"
      "In the conversation /exit ends and /new forgets what was said.");
  add_model_arguments(*command, arguments->model);
  command->add_option("--system", arguments->system, "What the model is told first")
      ->type_name("TEXT");
  command
      ->add_option("--message", arguments->message,
                   "Answer this one message and end; - reads standard input")
      ->type_name("TEXT");
  add_generate_options(*command, arguments->generate);
  command->callback([arguments] { run(*arguments); });
}

}  // namespace helix::cli
