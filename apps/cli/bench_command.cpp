#include <memory>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "helix/model.h"
#include "helix/version.h"
#include "model_options.h"
#include "text.h"
#include "validators.h"

namespace helix::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Arguments {
  std::string path;
  std::string dummy;
  std::string precision = "bf16";
  BenchmarkOptions options;
  CommonOptions common;
};

std::string gigabytes(double bytes_per_second) {
  return fixed(bytes_per_second / 1e9, 2) + " GB/s";
}

std::string report_text(const Benchmark& result) {
  const double share = 100.0 * result.achieved_bandwidth / result.read_bandwidth;
  return result.model_type + ", " + result.instruction_set + ", " +
         std::to_string(result.thread_count) + " threads, " + precision_name(result.precision) +
         "\n" + "weights             " + bytes_text(result.total_weight_bytes) + ", " +
         bytes_text(result.token_weight_bytes) + " per token\n" + "loading             " +
         fixed(result.load_seconds, 3) + " s, first token after " +
         fixed(result.first_token_seconds, 3) + " s\n" + "prompt              " +
         fixed(result.prompt_tokens_per_second, 2) + " tokens per second\n" +
         "generation          " + fixed(result.generated_tokens_per_second, 2) +
         " tokens per second\n" + "weights read        " + gigabytes(result.achieved_bandwidth) +
         ", " + fixed(share, 1) + " % of the " + gigabytes(result.read_bandwidth) +
         " that plain reading reaches\n" + "peak memory         " +
         bytes_text(result.peak_memory_bytes) + ", keys and values " +
         bytes_text(result.cache_bytes) + "\n";
}

std::string report_json(const Benchmark& result, const Arguments& arguments,
                        const Context& context) {
  const Json json = {{"version", version()},
                     {"command", context.command_line},
                     {"model_type", result.model_type},
                     {"made_up", !arguments.dummy.empty()},
                     {"instruction_set", result.instruction_set},
                     {"threads", result.thread_count},
                     {"precision", arguments.precision},
                     {"prompt_tokens", arguments.options.prompt_tokens},
                     {"generated_tokens", arguments.options.generated_tokens},
                     {"load_seconds", result.load_seconds},
                     {"first_token_seconds", result.first_token_seconds},
                     {"prompt_tokens_per_second", result.prompt_tokens_per_second},
                     {"generated_tokens_per_second", result.generated_tokens_per_second},
                     {"prompt_samples", result.prompt_samples},
                     {"generated_samples", result.generated_samples},
                     {"weight_bytes", result.total_weight_bytes},
                     {"weight_bytes_per_token", result.token_weight_bytes},
                     {"achieved_bytes_per_second", result.achieved_bandwidth},
                     {"read_bytes_per_second", result.read_bandwidth},
                     {"cache_bytes", result.cache_bytes},
                     {"peak_memory_bytes", result.peak_memory_bytes}};
  return json_text(json);
}

void run(Arguments& arguments, const Context& context) {
  if (arguments.path.empty() == arguments.dummy.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "bench needs either MODEL or --dummy CONFIG");
  }
  Console console(arguments.common);
  arguments.options.thread_count = arguments.common.threads;
  arguments.options.precision = parse_precision(arguments.precision);
  arguments.options.hooks = console.hooks();
  const bool made_up = !arguments.dummy.empty();
  const Benchmark result =
      benchmark(made_up ? arguments.dummy : arguments.path, made_up, arguments.options);
  print(arguments.common.json ? report_json(result, arguments, context) : report_text(result));
}

}  // namespace

void add_bench(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("bench", "Time a model, or one made up from a config");
  command->footer(
      "Example:\n  helix bench ./TinyLlama-1.1B-hxq --threads 2\n"
      "  helix bench --dummy ./TinyLlama-1.1B/config.json --json\n\n"
      "The best of the repetitions counts; --json has all of them.");
  command->add_option("MODEL", arguments->path, "Folder of a model, dense or HXQ");
  command
      ->add_option("--dummy", arguments->dummy,
                   "Random compressed weights of the shape of this config.json instead")
      ->type_name("CONFIG")
      ->check(not_empty());
  BenchmarkOptions& options = arguments->options;
  command->add_flag("--dense", options.dense, "With --dummy: BF16 matrices, nothing compressed")
      ->needs("--dummy");
  command
      ->add_flag("--embeddings", options.compressed_embeddings,
                 "With --dummy: codes for the embedding table and the output head too")
      ->needs("--dummy");
  command->add_option("--prompt", options.prompt_tokens, "Tokens of the prompt")
      ->type_name("N")
      ->check(whole_number(1, kMostTokens))
      ->capture_default_str();
  command->add_option("--generate", options.generated_tokens, "Tokens to generate")
      ->type_name("N")
      ->check(whole_number(1, kMostTokens))
      ->capture_default_str();
  command->add_option("--repetitions", options.repetitions, "Runs, of which the best counts")
      ->type_name("N")
      ->check(whole_number(1, 1000))
      ->capture_default_str();
  add_precision_option(*command, arguments->precision);
  add_common_options(*command, arguments->common);
  command->callback([arguments, &context] { run(*arguments, context); });
}

}  // namespace helix::cli
