#include <cstdio>
#include <exception>
#include <filesystem>
#include <new>

#include "commands.h"
#include "exit_status.h"
#include "helix/version.h"
#include "validators.h"

namespace helix::cli {

void add_common_options(CLI::App& command, CommonOptions& options) {
  command.add_flag("-q,--quiet", options.quiet,
                   "No progress and no notes; warnings and errors still show");
  command.add_flag("--json", options.json, "Print the result as JSON");
  command
      .add_option("--threads", options.threads, "Worker threads; the default is one per processor")
      ->type_name("N")
      ->check(whole_number(1, 1024));
}

void print(const std::string& text) {
  const std::size_t written = std::fwrite(text.data(), 1, text.size(), stdout);
  if (written != text.size() || std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    throw Error(ErrorCode::kIoError, "cannot write to standard output");
  }
}

namespace {

int run(int argc, char** argv) {
  CLI::App app("Data-free weight compression whose compressed form is the executable.", "helix");
  app.set_version_flag("--version", std::string("helix ") + version());
  app.require_subcommand(1);
  app.set_help_all_flag("--help-all", "Help for every command");
  app.get_formatter()->column_width(34);
  Context context;
  context.command_line.assign(argv, argv + argc);
  if (!context.command_line.empty()) context.command_line[0] = "helix";
  add_compress(app, context);
  add_decompress(app, context);
  add_inspect(app, context);
  add_verify(app, context);
  add_generate(app, context);
  add_chat(app, context);
  add_eval(app, context);
  add_bench(app, context);
  add_documentation(app, context);
  const auto is_named = [&](const CLI::App* command) { return command->check_name(argv[1]); };
  if (argc > 1 && argv[1][0] != '-' && app.get_subcommands(is_named).empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                std::string("there is no command \"") + argv[1] + "\"; helix --help lists them");
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& fault) {
    if (app.exit(fault) != 0) return exit_status(ErrorCode::kInvalidArgument);
    print("");  // help went through std::cout: whether it arrived
    return kSuccess;
  }
  return context.status;
}

int report(ErrorCode code, const char* message) {
  std::fprintf(stderr, "helix: %s: %s\n", error_code_name(code), message);
  return exit_status(code);
}

}  // namespace
}  // namespace helix::cli

int main(int argc, char** argv) {
  namespace cli = helix::cli;
  cli::occupy_standard_descriptors();
  cli::install_signal_handlers();
  try {
    return cli::run(argc, argv);
  } catch (const helix::Error& fault) {
    return cli::report(fault.code(), fault.what());
  } catch (const std::bad_alloc&) {
    return cli::report(helix::ErrorCode::kOutOfMemory, "not enough memory");
  } catch (const std::filesystem::filesystem_error& fault) {
    return cli::report(helix::ErrorCode::kIoError, fault.what());
  } catch (const std::exception& fault) {
    return cli::report(helix::ErrorCode::kInternal, fault.what());
  }
}
