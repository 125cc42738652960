#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "commands.h"
#include "helix/model.h"
#include "model_options.h"

namespace helix::cli {
namespace {

struct Arguments {
  ModelArguments model;
  std::string system;
  std::optional<std::string> message;
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
    std::vector<ChatMessage> messages = messages_;
    messages.push_back({"user", message});
    Generation generation = model_.chat(messages, options_, on_text);
    messages.push_back({"assistant", generation.text});
    messages_ = std::move(messages);
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

// Lines of standard input; Ctrl-C ends the wait for one.
class LineReader {
 public:
  // Without its line end; false at the end of input.
  bool next(std::string& line) {
    std::size_t end = 0;
    std::size_t looked_at = 0;
    while ((end = pending_.find('\n', looked_at)) == std::string::npos) {
      looked_at = pending_.size();
      if (!read_more()) break;
    }
    if (pending_.empty()) return false;
    line = pending_.substr(0, end);
    pending_.erase(0, end == std::string::npos ? end : end + 1);
    if (line.ends_with('\r')) line.pop_back();
    return true;
  }

 private:
  bool read_more() {
    char part[4096];
    wait_for_input(STDIN_FILENO);
    const ssize_t size = ::read(STDIN_FILENO, part, sizeof(part));
    if (size < 0 && errno == EINTR) return true;
    if (size < 0) {
      throw Error(ErrorCode::kIoError,
                  std::string("standard input: cannot be read: ") + std::strerror(errno));
    }
    pending_.append(part, static_cast<std::size_t>(size));
    return size > 0;
  }

  std::string pending_;
};

constexpr const char* kCommands =
    "/exit ends, /new forgets what was said, \"\"\" before and after makes several lines one "
    "message";
constexpr std::string_view kQuotes = "\"\"\"";

std::string_view without_blanks_behind(std::string_view line) {
  return line.substr(0, line.find_last_not_of(" \t") + 1);
}

// Takes kQuotes, and blanks behind them, off the end of `text`; false where there are none.
bool close_quotes(std::string& text) {
  const std::string_view line = without_blanks_behind(text);
  if (!line.ends_with(kQuotes)) return false;
  text.resize(line.size() - kQuotes.size());
  return true;
}

// `line` begins with kQuotes: becomes what stands between these and the next at the end of a line,
// or the end of input.
void read_quoted(LineReader& reader, std::string& line) {
  std::string text = line.substr(kQuotes.size());
  while (!close_quotes(text) && reader.next(line)) text += "\n" + line;
  if (text.starts_with('\n')) text.erase(0, 1);
  if (text.ends_with('\n')) text.pop_back();
  line = std::move(text);
}

// Answers messages until /exit or the end of input. Ctrl-C while the model answers ends the
// program; a message that cannot be answered does so only where nobody can write another.
void talk(Conversation& conversation, const Hooks& hooks, bool quiet) {
  const bool terminal = ::isatty(STDIN_FILENO) == 1;
  if (terminal && !quiet) hooks.info(kCommands);
  LineReader reader;
  std::string line;
  for (;;) {
    if (terminal) {
      std::fputs("> ", stderr);
      std::fflush(stderr);
    }
    if (!reader.next(line)) return;
    const bool quoted = line.starts_with(kQuotes);
    if (quoted) {
      read_quoted(reader, line);
    } else {
      line.resize(without_blanks_behind(line).size());
      if (line == "/exit") return;
    }
    if (line.empty()) continue;
    if (line == "/new" && !quoted) {
      conversation.forget();
    } else if (terminal && !quoted && line[0] == '/' &&
               line.find_first_of(" /", 1) == std::string::npos) {
      hooks.info(kCommands);
    } else {
      try {
        const Generation generation = print_generation(
            [&](const TextCallback& show) { return conversation.answer(line, show); });
        if (terminal && !quiet) hooks.info(generation_summary(generation));
      } catch (const Error& fault) {
        if (!terminal || fault.code() != ErrorCode::kInvalidArgument) throw;
        hooks.warn(fault.what());
      }
    }
  }
}

void run(const Arguments& arguments) {
  const CommonOptions& common = arguments.model.common;
  Console console(common);
  const Hooks hooks = console.hooks();
  Model model(arguments.model.path, arguments.model.options(hooks));
  model.render_chat({{ChatMessage{"user", "?"}}});  // a broken template shows before the first line
  Conversation conversation(model, arguments, hooks);
  if (!arguments.message) return talk(conversation, hooks, common.quiet);
  const std::string message = read_prompt(*arguments.message);
  if (common.json) {
    print(generation_json(conversation.answer(message, {})));
    return;
  }
  const Generation generation = print_generation(
      [&](const TextCallback& show) { return conversation.answer(message, show); });
  if (!common.quiet) hooks.info(generation_summary(generation));
}

}  // namespace

void add_chat(CLI::App& app, Context&) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("chat", "Talk with a model that has a chat template");
  command->footer(
      "Example:\n  helix chat ./TinyLlama-1.1B-hxq --system \"You are brief.\"\n"
      "  helix chat ./TinyLlama-1.1B-hxq --message \"Name three colours.\" --json\n\n"
      "In the conversation /exit ends, /new forgets what was said, and a message of several lines "
      "stands "
      "between \"\"\" and \"\"\".");
  add_model_arguments(*command, arguments->model);
  command->add_option("--system", arguments->system, "What the model is told first")
      ->type_name("TEXT");
  command
      ->add_option("--message", arguments->message,
                   "Answer this one message and end; - reads standard input up to its last line "
                   "end")
      ->type_name("TEXT");
  add_generate_options(*command, arguments->generate);
  command->callback([arguments] {
    if (arguments->model.common.json && !arguments->message) {
      throw Error(ErrorCode::kInvalidArgument, "--json needs --message");
    }
    run(*arguments);
  });
}

}  // namespace helix::cli
