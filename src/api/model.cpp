#include "helix/model.h"

#include <algorithm>
#include <utility>

#include "api/model_state.h"
#include "base/file.h"
#include "base/json.h"
#include "base/message.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/quantization_config.h"
#include "engine/generate.h"
#include "eval/evaluate.h"
#include "kernels/isa.h"
#include "models/decoder_config.h"
#include "models/load_model.h"

namespace helix {
namespace {

namespace fs = std::filesystem;

// generation_config.json knows better than config.json, where it is there and says something.
std::vector<std::int32_t> end_tokens_of(const fs::path& folder, const ModelInfo& info) {
  const fs::path path = folder / "generation_config.json";
  if (!fs::exists(path)) return info.end_tokens;
  const Json json = parse_python_json(read_file(path), path.string());
  if (!json.is_object()) {
    throw_error(ErrorCode::kCorruptData, path.string(), ": expected a JSON object");
  }
  const std::vector<std::int32_t> tokens = read_end_tokens(json, path.string());
  return tokens.empty() ? info.end_tokens : tokens;
}

std::string text_of(const Json& config, const char* key) {
  const auto found = config.find(key);
  return found != config.end() && found->is_string() ? found->get<std::string>() : "";
}

EngineOptions engine_options(const ModelOptions& options) {
  EngineOptions engine;
  engine.thread_count = options.thread_count;
  engine.context_length = options.context_length;
  return engine;
}

Json messages_json(std::span<const ChatMessage> messages) {
  Json list = Json::array();
  for (const ChatMessage& message : messages) {
    list.push_back({{"role", message.role}, {"content", message.content}});
  }
  return list;
}

constexpr std::size_t kComparedBytes = 1U << 16;

// The first `count` bytes or a few less, so that no character is cut.
std::string_view whole_characters(std::string_view text, std::size_t count) {
  if (text.size() <= count) return text;
  while (count > 0 && (static_cast<unsigned char>(text[count]) & 0xc0U) == 0x80U) --count;
  return text.substr(0, count);
}

}  // namespace

Model::State::State(const fs::path& path, const ModelOptions& options)
    : folder(path),
      precision(options.precision),
      engine(load_model(path, {.precision = options.precision,
                               .hooks = options.hooks,
                               .thread_count = options.thread_count}),
             engine_options(options)),
      sequence(engine.new_sequence()) {
  const Json config = read_config(path);
  dtype = text_of(config, "dtype");
  if (dtype.empty()) dtype = text_of(config, "torch_dtype");
  compressed = read_quantization_config(config, (path / "config.json").string()).compressed;
  end_tokens = end_tokens_of(path, engine.info());
  try {
    opened_tokenizer.emplace(Tokenizer::open(path));
  } catch (const Error& fault) {
    if (fault.code() != ErrorCode::kNotFound) throw;
    tokenizer_fault = fault;  // token ids work without
  }
}

const Tokenizer& Model::State::tokenizer() const {
  if (!opened_tokenizer) throw Error(tokenizer_fault.value());
  return *opened_tokenizer;
}

Model::Model(const fs::path& folder, const ModelOptions& options)
    : state_(std::make_unique<State>(folder, options)) {}
Model::~Model() = default;
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;

ModelDescription Model::describe() const {
  const ModelInfo& info = state_->engine.info();
  ModelDescription description;
  description.model_type = info.model_type;
  description.compressed = state_->compressed;
  description.dtype = state_->dtype;
  description.precision = state_->precision;
  description.instruction_set = isa_name(active_isa());
  description.thread_count = state_->engine.thread_count();
  description.vocabulary_size = info.vocabulary_size;
  description.context_length = state_->engine.context_length();
  description.token_weight_bytes = info.token_weight_bytes;
  description.total_weight_bytes = info.total_weight_bytes;
  return description;
}

std::vector<std::int32_t> Model::encode(std::string_view text, bool add_special_tokens,
                                        const Hooks& hooks) const {
  return state_->tokenizer().encode(text, add_special_tokens, hooks);
}

std::string Model::decode(std::span<const std::int32_t> tokens, bool skip_special_tokens) const {
  return state_->tokenizer().decode(tokens, skip_special_tokens);
}

Generation Model::generate(std::string_view prompt, const GenerateOptions& options,
                           const TextCallback& on_text) {
  const std::vector<std::int32_t> tokens = encode(prompt, true, options.hooks);
  return generate(tokens, options, on_text);
}

Generation Model::generate(std::span<const std::int32_t> prompt, const GenerateOptions& options,
                           const TextCallback& on_text) {
  const Tokenizer* tokenizer = state_->opened_tokenizer ? &*state_->opened_tokenizer : nullptr;
  if (tokenizer == nullptr && !options.stop.empty()) state_->tokenizer();
  const GenerateRequest request = {.prompt = prompt, .end_tokens = state_->end_tokens};
  return helix::generate(state_->engine, state_->sequence, tokenizer, request, options, on_text);
}

std::string Model::render_chat(std::span<const ChatMessage> messages) const {
  const Tokenizer& tokenizer = state_->tokenizer();
  if (!tokenizer.has_chat_template()) {
    throw_error(ErrorCode::kNotFound, state_->folder.string(),
                ": there is no chat template; expected one in chat_template.jinja or "
                "tokenizer_config.json");
  }
  return tokenizer.render_chat(messages_json(messages));
}

bool Model::has_chat_template() const {
  return state_->opened_tokenizer && state_->opened_tokenizer->has_chat_template();
}

Generation Model::chat(std::span<const ChatMessage> messages, const GenerateOptions& options,
                       const TextCallback& on_text) {
  const Tokenizer& tokenizer = state_->tokenizer();
  const std::vector<std::int32_t> prompt = encode(render_chat(messages), false, options.hooks);
  GenerateRequest request = {
      .prompt = prompt, .end_tokens = state_->end_tokens, .continues_prompt = false};
  if (const auto end = tokenizer.eos_id()) request.end_tokens.push_back(*end);
  return helix::generate(state_->engine, state_->sequence, &tokenizer, request, options, on_text);
}

std::vector<float> Model::logits(std::span<const std::int32_t> tokens, bool last_only,
                                 const Hooks& hooks) {
  std::vector<float> all;
  Sequence sequence = state_->engine.new_sequence();
  const std::size_t first = last_only && !tokens.empty() ? tokens.size() - 1 : 0;
  state_->engine.visit_logits(
      sequence, tokens, first,
      [&](std::size_t, std::span<const float> rows) {
        all.insert(all.end(), rows.begin(), rows.end());
      },
      hooks);
  return all;
}

Evaluation Model::evaluate(std::string_view text, const EvaluateOptions& options,
                           Model* reference) {
  Engine* other = reference == nullptr ? nullptr : &reference->state_->engine;
  if (reference != nullptr && reference->state_->opened_tokenizer) {
    const std::string_view sample = whole_characters(text, kComparedBytes);
    if (reference->encode(sample) != encode(sample)) {
      throw_error(ErrorCode::kInvalidArgument, reference->state_->folder.string(),
                  ": its tokenizer cuts the text into other tokens, so it cannot be compared with ",
                  state_->folder.string());
    }
  }
  return helix::evaluate(state_->engine, other, state_->tokenizer(), text, options);
}

}  // namespace helix
