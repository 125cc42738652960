#include "models/load_model.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/message.h"
#include "models/checkpoint_weights.h"
#include "models/decoder.h"
#include "models/llama.h"
#include "models/qwen2.h"
#include "models/random_weights.h"

namespace helix {
namespace {

namespace fs = std::filesystem;

struct Architecture {
  const char* name;  // model_type
  DecoderConfig (*read)(const Json& config, std::string_view file);
};

constexpr std::array kArchitectures = {
    Architecture{"llama", llama_config},
    Architecture{"qwen2", qwen2_config},
};

constexpr std::uint64_t kMaxConfigBytes = 64U << 20;

DecoderConfig read_config_of(const Json& config, const std::string& file) {
  const std::string type = ConfigFields(config, file).text_or("model_type", "");
  std::string known;
  for (const Architecture& architecture : kArchitectures) {
    if (type == architecture.name) return architecture.read(config, file);
    known += (known.empty() ? "" : ", ") + std::string(architecture.name);
  }
  throw_error(ErrorCode::kUnsupported, file, ": model_type is \"", type, "\", this version runs ",
              known);
}

DType cache_dtype(Precision precision) {
  return precision == Precision::kF32 ? DType::kF32 : DType::kF16;
}

// The stored parts of a matrix, compressed or exact.
ModuleParts parts_of(const Checkpoint& checkpoint, const std::string& module) {
  const auto found = checkpoint.modules().find(module);
  ModuleParts parts;
  if (found == checkpoint.modules().end()) {
    parts.exact = checkpoint.store().find(module + ".weight");
  } else if (found->second.exact != nullptr) {
    parts.exact = found->second.exact;
  } else {
    parts = found->second;
  }
  return parts;
}

bool same(const StoredTensor* a, const StoredTensor* b) {
  return a == nullptr || b == nullptr ? a == b : same_tensor(a->view, b->view);
}

// Whether an output head is stored that is not a copy of the embedding table.
bool has_own_head(const Checkpoint& checkpoint) {
  constexpr std::array kParts = {
      &ModuleParts::codebook,       &ModuleParts::indices,        &ModuleParts::sidecar_positions,
      &ModuleParts::sidecar_values, &ModuleParts::svd_u,          &ModuleParts::svd_s,
      &ModuleParts::svd_vt,         &ModuleParts::channel_scales, &ModuleParts::exact};
  const ModuleParts head = parts_of(checkpoint, "lm_head");
  const ModuleParts table = parts_of(checkpoint, "model.embed_tokens");
  if (head.indices == nullptr && head.exact == nullptr) return false;
  return !std::ranges::all_of(kParts, [&](auto part) { return same(head.*part, table.*part); });
}

// Keeps the files mapped for the weights that lie in them.
class FolderWeights final : public WeightSource {
 public:
  FolderWeights(std::unique_ptr<Checkpoint> checkpoint, const MatrixOptions& options)
      : checkpoint_(std::move(checkpoint)), weights_(*checkpoint_, options) {}

  Linear linear(const std::string& module, std::size_t rows, std::size_t columns,
                bool has_bias) override {
    return weights_.linear(module, rows, columns, has_bias);
  }
  EmbeddingTable embedding(const std::string& module, std::size_t rows,
                           std::size_t columns) override {
    return weights_.embedding(module, rows, columns);
  }
  std::vector<float> vector(const std::string& tensor, std::size_t size) override {
    return weights_.vector(tensor, size);
  }

  // To be called when the model has all it wants: another config than the weights were made for,
  // or a name with a fault in it, shows here and nowhere else.
  void warn_of_unused(bool tied_embeddings, const Hooks& hooks) const {
    constexpr std::size_t kMostNamed = 5;
    std::vector<std::string> names = weights_.unused();
    std::erase_if(names, [&](const std::string& name) {  // what exporters often leave behind
      return name.ends_with("rotary_emb.inv_freq") ||
             (tied_embeddings && (name == "lm_head" || name == "lm_head.weight"));
    });
    if (names.empty()) return;
    std::string text = concat(checkpoint_->folder().string(), ": ", names.size(),
                              " stored tensors that config.json does not ask for: ");
    for (std::size_t i = 0; i < std::min(names.size(), kMostNamed); ++i) {
      text += (i > 0 ? ", " : "") + names[i];
    }
    hooks.warn(text + (names.size() > kMostNamed ? ", ..." : ""));
  }

 private:
  std::unique_ptr<Checkpoint> checkpoint_;
  CheckpointWeights weights_;
};

}  // namespace

std::unique_ptr<CausalModel> load_model(const fs::path& folder, const LoadOptions& options) {
  // The architecture first: what else may be odd about a folder plays no role where it is unknown.
  const Json json = read_config(folder);
  DecoderConfig config = read_config_of(json, (folder / "config.json").string());
  auto checkpoint = std::make_unique<Checkpoint>(folder, options.hooks);
  if (config.tied_embeddings && has_own_head(*checkpoint)) {
    config.tied_embeddings = false;
    options.hooks.warn(concat(folder.string(),
                              ": the stored lm_head is another than the embedding "
                              "table and is used, although tie_word_embeddings is true"));
  }
  auto weights = std::make_unique<FolderWeights>(std::move(checkpoint),
                                                 MatrixOptions{.precision = options.precision});
  const FolderWeights& source = *weights;
  const bool tied = config.tied_embeddings;
  ThreadPool pool(options.thread_count == 0 ? hardware_threads() : options.thread_count);
  auto model = std::make_unique<Decoder>(std::move(config), std::move(weights),
                                         cache_dtype(options.precision), pool);
  source.warn_of_unused(tied, options.hooks);
  return model;
}

std::unique_ptr<CausalModel> random_model(const fs::path& path, const RandomModelOptions& options) {
  const fs::path file = fs::is_directory(path) ? path / "config.json" : path;
  const Json json = parse_python_json(read_file(file, kMaxConfigBytes), file.string());
  if (!json.is_object()) {
    throw_error(ErrorCode::kCorruptData, file.string(), ": expected a JSON object");
  }
  DecoderConfig config = read_config_of(json, file.string());
  auto weights = std::make_unique<RandomWeights>(
      RandomWeightsOptions{.matrix = {.precision = options.load.precision},
                           .compressed_embeddings = options.compressed_embeddings,
                           .dense = options.dense,
                           .seed = options.seed,
                           .hooks = options.load.hooks});
  ThreadPool pool(1);
  return std::make_unique<Decoder>(std::move(config), std::move(weights),
                                   cache_dtype(options.load.precision), pool);
}

}  // namespace helix
