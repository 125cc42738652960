#include "model_options.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "text.h"
#include "validators.h"

namespace helix::cli {
namespace {

std::string rate_text(std::size_t tokens, double seconds) {
  if (tokens == 0 || seconds <= 0.0) return "";
  return " (" + fixed(static_cast<double>(tokens) / seconds, 1) + " per second)";
}

}  // namespace

Precision parse_precision(const std::string& name) {
  return name == "f32" ? Precision::kF32 : Precision::kBf16;
}

ModelOptions ModelArguments::options(const Hooks& hooks) const {
  ModelOptions result;
  result.thread_count = common.threads;
  result.precision = parse_precision(precision);
  result.context_length = context;
  result.hooks = hooks;
  return result;
}

void add_precision_option(CLI::App& command, std::string& precision) {
  command
      .add_option("--precision", precision,
                  "Of the matrix products: bf16 is fast (relative error up to 2e-3), f32 exact "
                  "(1e-5)")
      ->check(CLI::IsMember({"bf16", "f32"}))
      ->capture_default_str();
}

void add_model_arguments(CLI::App& command, ModelArguments& arguments) {
  command.add_option("MODEL", arguments.path, "Folder of a model, dense or HXQ")->required();
  add_precision_option(command, arguments.precision);
  command
      .add_option(
          "--context", arguments.context,
          "Most tokens of a text, its continuation included; the default is what the model was "
          "made for")
      ->type_name("N")
      ->check(whole_number(1, kMostTokens));
  add_common_options(command, arguments.common);
}

void add_generate_options(CLI::App& command, GenerateOptions& options) {
  SamplingOptions& sampling = options.sampling;
  command
      .add_option("-n,--max-tokens", options.max_tokens,
                  "Stop after this many tokens; 0: only when the context is full")
      ->type_name("N")
      ->check(whole_number(0, kMostTokens))
      ->capture_default_str();
  command
      .add_option("--temperature", sampling.temperature,
                  "0 takes the most likely token, more draws more freely")
      ->check(decimal_number())
      ->capture_default_str();
  command.add_option("--top-k", sampling.top_k, "Draw from the K most likely tokens; 0: all")
      ->type_name("K")
      ->check(whole_number(0, kMostTokens))
      ->capture_default_str();
  command
      .add_option("--top-p", sampling.top_p, "Draw from the tokens that make up this probability")
      ->check(decimal_number())
      ->capture_default_str();
  command
      .add_option("--min-p", sampling.min_p,
                  "Draw from tokens at least this likely, relative to the likeliest")
      ->check(decimal_number())
      ->capture_default_str();
  command
      .add_option("--repetition-penalty", sampling.repetition_penalty,
                  "Makes tokens of prompt and answer less likely (1: off)")
      ->check(decimal_number())
      ->capture_default_str();
  command
      .add_option("--presence-penalty", sampling.presence_penalty,
                  "Taken off the logits of tokens of the answer")
      ->check(decimal_number())
      ->capture_default_str();
  command.add_option("--seed", sampling.seed, "Of the draw: the same seed gives the same text")
      ->type_name("N")
      ->check(whole_number(0, UINT64_MAX))
      ->capture_default_str();
  command.add_option("--stop", options.stop, "End before this text; may be given several times")
      ->type_name("TEXT")
      ->allow_extra_args(false);
}

std::string generation_json(const Generation& generation) {
  const nlohmann::ordered_json json = {{"text", generation.text},
                                       {"finish", finish_reason_name(generation.finish)},
                                       {"prompt_tokens", generation.prompt_tokens},
                                       {"reused_tokens", generation.reused_tokens},
                                       {"tokens", generation.tokens},
                                       {"prompt_seconds", generation.prompt_seconds},
                                       {"generate_seconds", generation.generate_seconds}};
  return json_text(json);
}

std::string generation_summary(const Generation& generation) {
  const std::size_t computed = generation.prompt_tokens - generation.reused_tokens;
  const std::size_t later = generation.tokens.size() - 1;
  std::string text =
      "prompt: " + std::to_string(generation.prompt_tokens) + " tokens in " +
      fixed(generation.prompt_seconds, 2) + " s" + rate_text(computed, generation.prompt_seconds) +
      ", answer: " + std::to_string(generation.tokens.size()) + " tokens in " +
      fixed(generation.generate_seconds, 2) + " s" + rate_text(later, generation.generate_seconds);
  if (generation.finish == FinishReason::kContextEnd) text += ", the context is full";
  return text;
}

Generation print_generation(const std::function<Generation(const TextCallback&)>& generate) {
  try {
    const Generation generation = generate([](std::string_view piece) {
      print(std::string(piece));
      return true;
    });
    print("\n");
    return generation;
  } catch (...) {
    if (::isatty(STDOUT_FILENO) == 1) print("\n");
    throw;
  }
}

std::string read_text(const std::string& path) {
  const bool standard = path == "-";
  const std::string name = standard ? "standard input" : path;
  std::FILE* file = standard ? stdin : std::fopen(path.c_str(), "rb");
  if (file == nullptr) {
    throw Error(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIoError,
                name + ": cannot be opened: " + std::strerror(errno));
  }
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> owner(file, std::fclose);
  std::string text;
  std::array<char, 1 << 16> part;
  for (;;) {
    wait_for_input(::fileno(file));
    const ssize_t size = ::read(::fileno(file), part.data(), part.size());
    if (size == 0) return text;
    if (size > 0) {
      text.append(part.data(), static_cast<std::size_t>(size));
    } else if (errno != EINTR) {
      throw Error(ErrorCode::kIoError, name + ": cannot be read: " + std::strerror(errno));
    }
  }
}

std::string read_prompt(const std::string& argument) {
  if (argument != "-") return argument;
  std::string text = read_text("-");
  if (text.ends_with('\n')) {
    text.pop_back();
    if (text.ends_with('\r')) text.pop_back();
  }
  return text;
}

}  // namespace helix::cli
