#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "helix/error.h"
#include "helix/evaluation.h"
#include "helix/generation.h"
#include "helix/precision.h"
#include "helix/progress.h"

namespace helix {

struct ModelOptions {
  std::size_t thread_count = 0;            // 0: one per processor
  Precision precision = Precision::kBf16;  // kF32 keeps keys and values in F32 too, else F16
  std::size_t context_length = 0;          // the most tokens of a text; 0: the model's
  Hooks hooks = {};
};

// What was loaded.
struct ModelDescription {
  std::string model_type;
  bool compressed = false;  // HXQ
  std::string dtype;        // of config.json: of the dense weights
  Precision precision = Precision::kBf16;
  std::string instruction_set;  // that the kernels use: "avx2", ...
  std::size_t thread_count = 0;
  std::size_t vocabulary_size = 0;
  std::size_t context_length = 0;
  std::uint64_t token_weight_bytes = 0;  // weights that one generated token reads
  std::uint64_t total_weight_bytes = 0;
};

struct ChatMessage {
  std::string role;  // "system", "user", "assistant"
  std::string content;
};

// A language model of a Hugging Face folder, dense or HXQ, with its tokenizer. The weights stay in
// the mapped files, so that loading takes no longer than reading what is used, and processes that
// use the same folder share the memory. Move-only; one call at a time, several objects in several
// threads. All errors are Error.
class Model {
 public:
  // kNotFound, kCorruptData, kUnsupported (an architecture, quantisation or tokenizer that is not
  // known, by name), kInvalidArgument (a context longer than the model was made for).
  explicit Model(const std::filesystem::path& folder, const ModelOptions& options = {});
  ~Model();
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;

  ModelDescription describe() const;

  // Ids of a text; kInvalidArgument where it is not UTF-8, kCancelled.
  std::vector<std::int32_t> encode(std::string_view text, bool add_special_tokens = true,
                                   const Hooks& hooks = {}) const;
  // The text of ids; those that the vocabulary lacks have none, bytes that are no UTF-8 become
  // U+FFFD. Both: kNotFound where the folder has no tokenizer.
  std::string decode(std::span<const std::int32_t> tokens, bool skip_special_tokens = true) const;

  // Continues a text. Tokens that the last call had in common with this one are not computed again.
  // kInvalidArgument (options; a prompt without tokens; a prompt that the context does not take),
  // kCancelled.
  Generation generate(std::string_view prompt, const GenerateOptions& options = {},
                      const TextCallback& on_text = {});
  Generation generate(std::span<const std::int32_t> prompt, const GenerateOptions& options = {},
                      const TextCallback& on_text = {});

  // Answers the last of `messages`, as the model's chat template puts them. kNotFound without a
  // template, kUnsupported or kInvalidArgument where it cannot be rendered.
  Generation chat(std::span<const ChatMessage> messages, const GenerateOptions& options = {},
                  const TextCallback& on_text = {});
  // The prompt that chat() uses.
  std::string render_chat(std::span<const ChatMessage> messages) const;
  bool has_chat_template() const;

  // Logits (tokens, vocabulary) of every token in F32, or of the last one only. What generate()
  // remembers stays as it is. kInvalidArgument (no tokens, ids outside the vocabulary, more than
  // the context takes), kCancelled.
  std::vector<float> logits(std::span<const std::int32_t> tokens, bool last_only = false,
                            const Hooks& hooks = {});

  // Perplexity of a text; with `reference`, the model it was made from, also how far its
  // predictions are from that; no other thread may use it meanwhile. kInvalidArgument (sizes; a
  // text that is too short or not UTF-8; another vocabulary or tokenizer), kCorruptData where
  // logits are no numbers, kCancelled.
  Evaluation evaluate(std::string_view text, const EvaluateOptions& options = {},
                      Model* reference = nullptr);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The result of evaluate() with all that it depends on, as JSON (with a final newline): protocol,
// figures, both models, versions, machine, command.
std::string evaluation_receipt(const Evaluation& evaluation, const Model& model,
                               const Model* reference, std::string_view text_name,
                               std::span<const std::string> command);

// Timing ------------------------------------------------------------------------------------------

struct BenchmarkOptions {
  std::size_t thread_count = 0;
  Precision precision = Precision::kBf16;
  std::size_t prompt_tokens = 512;
  std::size_t generated_tokens = 64;
  std::size_t repetitions = 3;  // the best counts
  // Of a made-up model only: codes for embedding and output head too; no codes at all.
  bool compressed_embeddings = false;
  bool dense = false;
  Hooks hooks = {};
};

struct Benchmark {
  std::string model_type;
  std::string instruction_set;
  std::size_t thread_count = 0;
  Precision precision = Precision::kBf16;
  double load_seconds = 0.0;
  double first_token_seconds = 0.0;  // from the start of loading, with a prompt of 16 tokens; of a
                                     // made-up model from when its weights are there
  double prompt_tokens_per_second = 0.0;
  double generated_tokens_per_second = 0.0;
  std::vector<double> prompt_samples;  // tokens per second
  std::vector<double> generated_samples;
  std::uint64_t token_weight_bytes = 0;  // weights that one generated token reads
  std::uint64_t total_weight_bytes = 0;
  double achieved_bandwidth = 0.0;  // bytes per second of weights while generating
  double read_bandwidth = 0.0;      // that plain reading reaches, right after the best repetition
  std::uint64_t cache_bytes = 0;    // keys and values at the end
  std::uint64_t peak_memory_bytes = 0;  // of the process; mapped files count while resident
};

// Times a model folder, or with `made_up` random weights of the shape a config.json states. Plain
// reading is timed on 256 MiB of its own. Throws as Model does, and kInvalidArgument for counts of
// 0 or more than a context takes.
Benchmark benchmark(const std::filesystem::path& path, bool made_up,
                    const BenchmarkOptions& options = {});

}  // namespace helix
