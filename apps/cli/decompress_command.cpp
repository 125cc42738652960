#include <memory>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "helix/convert.h"
#include "text.h"

namespace helix::cli {
namespace {

struct Arguments {
  std::string source;
  std::string destination;
  std::string shard_size = "5GB";
  DecompressOptions options;
  CommonOptions common;
};

void run(Arguments& arguments) {
  arguments.options.shard_bytes = parse_bytes(arguments.shard_size);
  arguments.options.thread_count = arguments.common.threads;
  Console console(arguments.common);
  arguments.options.hooks = console.hooks();
  const DecompressSummary summary =
      decompress(arguments.source, arguments.destination, arguments.options);
  if (arguments.common.json) {
    print(json_text({{"decoded", summary.module_count},
                     {"exact", summary.exact_count},
                     {"dtype", dtype_name(summary.dtype)},
                     {"weight_file_bytes", summary.bytes}}));
  } else if (!arguments.common.quiet) {
    print(arguments.destination + "\n  " + std::to_string(summary.module_count) +
          " matrices decoded to " + std::string(dtype_name(summary.dtype)) + ", " +
          std::to_string(summary.exact_count) + " exact, " + bytes_text(summary.bytes) + "\n");
  }
}

}  // namespace

void add_decompress(CLI::App& app, Context&) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("decompress", "Turn an HXQ checkpoint back into a dense one");
  command->footer(
      "Example:\n  helix decompress ./TinyLlama-1.1B-hxq ./TinyLlama-1.1B-dense --dtype bf16");
  command->add_option("SRC", arguments->source, "Folder of the HXQ checkpoint, any variant")
      ->required();
  command->add_option("DST", arguments->destination, "Folder to write")->required();
  command
      ->add_option("--dtype", arguments->options.dtype,
                   "Type of the decoded matrices: f32, f16 or bf16; the default is the one "
                   "config.json names")
      ->check(CLI::IsMember({"f32", "f16", "bf16"}))
      ->type_name("TYPE");
  command->add_option("--shard-size", arguments->shard_size, "Largest weight file")
      ->type_name("SIZE")
      ->capture_default_str();
  command->add_flag("--copy-code", arguments->options.copy_code,
                    "Copy *.py files of the source folder too");
  command->add_flag("--force", arguments->options.force,
                    "Replace a model folder at DST, drop an interrupted run");
  add_common_options(*command, arguments->common);
  command->callback([arguments] { run(*arguments); });
}

}  // namespace helix::cli
