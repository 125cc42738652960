#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "console.h"
#include "helix/model.h"

namespace helix::cli {

// What the commands that run a model share: --precision, --context and the common options.
struct ModelArguments {
  std::string path;
  std::string precision = "bf16";
  std::size_t context = 0;
  CommonOptions common;

  ModelOptions options(const Hooks& hooks) const;
};

// MODEL and the options.
void add_model_arguments(CLI::App& command, ModelArguments& arguments);
// --precision alone.
void add_precision_option(CLI::App& command, std::string& precision);
Precision parse_precision(const std::string& name);

constexpr std::uint64_t kMostTokens = std::uint64_t{1} << 24;

// --max-tokens, --temperature, --top-k, ..., --stop, --seed.
void add_generate_options(CLI::App& command, GenerateOptions& options);

// {"text", "finish", "prompt_tokens", ..., "tokens"}, with a final newline.
std::string generation_json(const Generation& generation);
// "26 tokens of prompt in 0.12 s (216 per second), 64 generated ..."
std::string generation_summary(const Generation& generation);

// Runs `generate` with a callback that prints the text as it comes, and ends the line, whether or
// not something stops it.
Generation print_generation(const std::function<Generation(const TextCallback&)>& generate);

// A file's content, or standard input for "-". Throws Error(kNotFound | kIoError), and kCancelled
// after Ctrl-C.
std::string read_text(const std::string& path);
// An argument, or for "-" standard input without its last line end.
std::string read_prompt(const std::string& argument);

}  // namespace helix::cli
