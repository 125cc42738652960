#include "models/load_model.h"

#include <array>
#include <utility>

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

// Keeps the files mapped for the weights that lie in them.
class FolderWeights final : public WeightSource {
 public:
  FolderWeights(std::unique_ptr<Checkpoint> checkpoint, const MatrixOptions& options)
      : checkpoint_(std::move(checkpoint)), weights_(*checkpoint_, options) {}

  Linear linear(const std::string& module, std::size_t rows, std::size_t columns,
                Bias bias) override {
    return weights_.linear(module, rows, columns, bias);
  }
  EmbeddingTable embedding(const std::string& module, std::size_t rows,
                           std::size_t columns) override {
    return weights_.embedding(module, rows, columns);
  }
  std::vector<float> vector(const std::string& tensor, std::size_t size) override {
    return weights_.vector(tensor, size);
  }

 private:
  std::unique_ptr<Checkpoint> checkpoint_;
  CheckpointWeights weights_;
};

}  // namespace

const std::vector<std::string>& known_architectures() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> list;
    for (const Architecture& architecture : kArchitectures) list.emplace_back(architecture.name);
    return list;
  }();
  return names;
}

std::unique_ptr<CausalModel> load_model(const fs::path& folder, const LoadOptions& options) {
  // The architecture first: what else may be odd about a folder plays no role where it is unknown.
  const Json json = read_config(folder);
  DecoderConfig config = read_config_of(json, (folder / "config.json").string());
  auto checkpoint = std::make_unique<Checkpoint>(folder, options.hooks);
  auto weights = std::make_unique<FolderWeights>(std::move(checkpoint),
                                                 MatrixOptions{.precision = options.precision});
  ThreadPool pool(options.thread_count == 0 ? hardware_threads() : options.thread_count);
  return std::make_unique<Decoder>(std::move(config), std::move(weights),
                                   cache_dtype(options.precision), pool);
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
