#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "console.h"

namespace helix::cli {

// Each function adds one subcommand; its callback sets `status` or throws Error.
struct Context {
  std::vector<std::string> command_line;
  int status = 0;
};

void add_compress(CLI::App& app, Context& context);
void add_decompress(CLI::App& app, Context& context);
void add_inspect(CLI::App& app, Context& context);
void add_verify(CLI::App& app, Context& context);
void add_generate(CLI::App& app, Context& context);
void add_chat(CLI::App& app, Context& context);
void add_eval(CLI::App& app, Context& context);
void add_bench(CLI::App& app, Context& context);
// `helix completion SHELL` and `helix man`, made from the commands themselves.
void add_documentation(CLI::App& app, Context& context);

// --quiet, --json and --threads.
void add_common_options(CLI::App& command, CommonOptions& options);

// Prints to standard output; throws Error(kIoError) where that fails.
void print(const std::string& text);

}  // namespace helix::cli
