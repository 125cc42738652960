#include "convert/plan.h"

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <set>
#include <span>

#include "base/message.h"
#include "convert/reserved_names.h"
#include "convert/shards.h"

namespace helix {
namespace {

constexpr std::array<std::string_view, 5> kHeadNames = {"lm_head", "embed_out", "output_layer",
                                                        "lm_head.decoder", "predictions.decoder"};
constexpr std::array<std::string_view, 5> kEmbeddingNames = {
    "wte", "wpe", "shared", "relative_attention_bias", "embeddings"};
constexpr std::array<std::string_view, 6> kRouterNames = {
    "gate", "router", "wg", "gating_network", "shared_expert_gate", "gate_network"};
// transformers' Conv1D: a linear layer whose weight is stored as [in, out].
constexpr std::array<std::string_view, 4> kConv1DNames = {"c_attn", "c_proj", "c_fc", "q_attn"};
constexpr std::array<std::string_view, 5> kConv1DModels = {"gpt2", "openai-gpt", "imagegpt",
                                                           "decision_transformer", "clvp"};

enum class Kind : std::uint8_t { kLinear, kEmbedding, kHead, kRouter, kConv1D, kOther };

bool contains(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string_view last_part(std::string_view name) { return name.substr(name.rfind('.') + 1); }

bool ends_with_part(std::string_view name, std::string_view parts) {
  return name == parts || (name.ends_with(parts) && name[name.size() - parts.size() - 1] == '.');
}

bool matches(const std::string& glob, const std::string& key) {
  return ::fnmatch(glob.c_str(), key.c_str(), 0) == 0 ||
         ::fnmatch(glob.c_str(), module_name(key).c_str(), 0) == 0;
}

class Planner {
 public:
  Planner(const Checkpoint& source, const CompressOptions& options)
      : source_(source), options_(options), transposed_(stores_conv1d()) {
    for (const auto& [glob, k] : options.codebook_sizes) unused_.insert(glob);
    unused_.insert(options.include.begin(), options.include.end());
    unused_.insert(options.exclude.begin(), options.exclude.end());
  }

  std::vector<PlanEntry> run() {
    refuse_reserved_names(source_.store());
    std::vector<PlanEntry> plan;
    for (const StoredTensor& tensor : source_.store().tensors()) plan.push_back(entry_of(tensor));
    if (!unused_.empty()) {
      throw_error(ErrorCode::kInvalidArgument, "the pattern \"", *unused_.begin(),
                  "\" matches no matrix of ", source_.folder().string(),
                  " that could be compressed");
    }
    return plan;
  }

 private:
  PlanEntry entry_of(const StoredTensor& tensor) {
    PlanEntry entry;
    entry.name = tensor.name;
    entry.dtype = tensor.view.dtype;
    entry.shape = tensor.view.shape;
    entry.bytes = tensor.view.data.size();
    entry.encode = options_.encode;
    if (is_tied_copy(tensor)) {
      entry.action = Action::kSkip;
      entry.reason = "tied to " + embedding_of(tensor)->name + ", same values";
      return entry;
    }
    if (const std::string obstacle = obstacle_of(tensor); !obstacle.empty()) {
      entry.reason = obstacle;
      first_match(options_.exclude,
                  tensor.name);  // excluding what stays exact anyway is no mistake
      return entry;
    }
    decide(tensor, entry);
    return entry;
  }

  // Why the format cannot hold this tensor as a module, or "".
  std::string obstacle_of(const StoredTensor& tensor) const {
    if (!dtype_is_float(tensor.view.dtype)) return "not floating point";
    const std::size_t rank = tensor.view.shape.size();
    if (rank == 3 && tensor.name.find("expert") != std::string::npos) return "fused experts, 3-D";
    if (tensor.name.ends_with(".bias")) return "bias";
    if (!tensor.name.ends_with(".weight")) return "a bare parameter, not a module's weight";
    if (rank > 2) return "convolution";
    if (rank < 2) return "vector";
    if (tensor.view.data.empty()) return "empty";
    if (reads_as_bare_parameter(source_.store(), module_name(tensor.name)))
      return "the name of a bare parameter";
    return "";
  }

  // Sets action, reason and the tensor's own encoding options for a matrix.
  void decide(const StoredTensor& tensor, PlanEntry& entry) {
    const Kind kind = kind_of(tensor);
    for (const auto& [glob, k] : options_.codebook_sizes) {
      if (use(glob, tensor.name)) entry.encode.codebook_size = k;
    }
    const std::string* excluded = first_match(options_.exclude, tensor.name);
    const std::string* included = first_match(options_.include, tensor.name);
    const bool transposed = kind == Kind::kConv1D;
    if (kind == Kind::kEmbedding || transposed) entry.encode.column_scales = ColumnScales::kNone;
    if (excluded != nullptr) {
      entry.reason = "excluded by " + *excluded;
    } else if (included != nullptr) {
      refuse_unreadable(entry);
      entry.action = Action::kCompress;
      entry.reason = "included by " + *included;
    } else if (const std::string exception = exception_of(kind, tensor); !exception.empty()) {
      entry.reason = exception;
    } else if (refuse_unreadable(entry); compressed_bytes_bound(entry) >= entry.bytes) {
      entry.reason = "too small to gain";
    } else {
      entry.action = Action::kCompress;
      entry.reason = kind == Kind::kEmbedding ? "embedding"
                     : kind == Kind::kHead    ? "output head"
                                              : "linear";
    }
  }

  // Of the floating-point types only FP8 cannot be read: its scales lie in other tensors.
  static void refuse_unreadable(const PlanEntry& entry) {
    if (entry.dtype != DType::kF8E4M3 && entry.dtype != DType::kF8E5M2) return;
    throw_error(ErrorCode::kUnsupported, entry.name, ": weights of type ", dtype_name(entry.dtype),
                " need scales that are stored elsewhere; convert the checkpoint to BF16 first, "
                "or --exclude it");
  }

  std::string exception_of(Kind kind, const StoredTensor& tensor) const {
    switch (kind) {
      case Kind::kLinear: return "";
      case Kind::kEmbedding: return options_.embeddings ? "" : "embedding";
      case Kind::kHead: return options_.lm_head ? "" : "output head";
      case Kind::kRouter: return "router";
      case Kind::kConv1D: return "transposed linear (Conv1D)";
      case Kind::kOther: break;
    }
    return last_part(module_name(tensor.name)).find("norm") != std::string_view::npos
               ? "norm"
               : "not a linear layer";
  }

  Kind kind_of(const StoredTensor& tensor) const {
    const std::string module = module_name(tensor.name);
    const std::string_view last = last_part(module);
    for (const std::string_view head : kHeadNames) {
      if (ends_with_part(module, head)) return Kind::kHead;
    }
    if (contains(kEmbeddingNames, last) || last.find("embed") != std::string_view::npos)
      return Kind::kEmbedding;
    if (contains(kRouterNames, last) || module.find(".router.") != std::string::npos)
      return Kind::kRouter;
    if (transposed_ && contains(kConv1DNames, last)) return Kind::kConv1D;
    if (last.find("norm") != std::string_view::npos ||
        last.find("conv") != std::string_view::npos) {
      return Kind::kOther;
    }
    const StoredTensor* bias = source_.store().find(module + ".bias");
    if (bias != nullptr && bias->view.shape != Shape{tensor.view.shape[0]}) return Kind::kOther;
    return Kind::kLinear;
  }

  // By the model's type, or by a bias that fits the second extent and not the first.
  bool stores_conv1d() const {
    const auto type = source_.config().find("model_type");
    if (type != source_.config().end() && type->is_string() &&
        contains(kConv1DModels, type->get_ref<const std::string&>())) {
      return true;
    }
    for (const StoredTensor& tensor : source_.store().tensors()) {
      const Shape& shape = tensor.view.shape;
      const std::string module = module_name(tensor.name);
      if (shape.size() != 2 || shape[0] == shape[1] || !contains(kConv1DNames, last_part(module)))
        continue;
      const StoredTensor* bias = source_.store().find(module + ".bias");
      if (bias != nullptr && bias->view.shape == Shape{shape[1]}) return true;
    }
    return false;
  }

  bool ties_embeddings() const {
    const auto tied = source_.config().find("tie_word_embeddings");
    return tied != source_.config().end() && tied->is_boolean() && tied->get<bool>();
  }

  const StoredTensor* embedding_of(const StoredTensor& head) const {
    for (const StoredTensor& tensor : source_.store().tensors()) {
      const std::string module = module_name(tensor.name);
      const std::string_view last = last_part(module);
      const bool table = last == "embed_tokens" || last == "wte" || last == "word_embeddings" ||
                         last == "embed_in" || last == "embeddings" || last == "embedding" ||
                         last == "shared";
      if (table && tensor.name != head.name && tensor.name.ends_with(".weight") &&
          tensor.view.shape == head.view.shape) {
        return &tensor;
      }
    }
    return nullptr;
  }

  // Tied by name (the config says so) and by value.
  bool is_tied_copy(const StoredTensor& tensor) const {
    if (tensor.view.shape.size() != 2 || !ties_embeddings() || kind_of(tensor) != Kind::kHead)
      return false;
    const StoredTensor* table = embedding_of(tensor);
    if (table == nullptr || table->view.dtype != tensor.view.dtype) return false;
    if (same_tensor(table->view, tensor.view)) return true;
    options_.hooks.warn(concat(tensor.name, ": config.json ties it to ", table->name,
                               ", but the values differ; both are written"));
    return false;
  }

  bool use(const std::string& glob, const std::string& key) {
    if (!matches(glob, key)) return false;
    unused_.erase(glob);
    return true;
  }

  const std::string* first_match(const std::vector<std::string>& globs, const std::string& key) {
    const std::string* first = nullptr;
    for (const std::string& glob : globs) {
      if (use(glob, key) && first == nullptr) first = &glob;
    }
    return first;
  }

  const Checkpoint& source_;
  const CompressOptions& options_;
  const bool transposed_;
  std::set<std::string> unused_;
};

}  // namespace

std::string module_name(const std::string& key) {
  return key.ends_with(".weight") ? key.substr(0, key.size() - 7) : key;
}

const char* action_name(Action action) noexcept {
  switch (action) {
    case Action::kCompress: return "compress";
    case Action::kExact: return "exact";
    case Action::kSkip: return "skip";
  }
  return "";
}

std::uint64_t compressed_bytes_bound(const PlanEntry& entry) {
  const std::uint64_t count = element_count(entry.shape);
  const std::uint64_t k = std::min<std::uint64_t>(entry.encode.codebook_size, count);
  const std::uint64_t scales =
      entry.encode.column_scales == ColumnScales::kAuto ? entry.shape[1] : 0;
  const std::uint64_t indices = entry.encode.codebook_size <= 256 ? count
                                : count % 2 == 0                  ? count / 2 * 3
                                                                  : 2 * count;
  return indices + 4 * (k + scales) + 12 * largest_outlier_count(entry.encode.outliers, count);
}

std::vector<PlanEntry> make_plan(const Checkpoint& source, const CompressOptions& options) {
  const std::string file = (source.folder() / "config.json").string();
  if (source.is_compressed()) {
    throw_error(ErrorCode::kUnsupported, file,
                ": the checkpoint is compressed already; decompress it first");
  }
  if (!source.foreign_quantization().empty()) {
    throw_error(ErrorCode::kUnsupported, file, ": the checkpoint is quantised already (",
                source.foreign_quantization(), "); start from the original weights");
  }
  const auto check_size = [](std::uint32_t k) {
    if (k >= kMinCodebookSize && k <= kMaxCodebookSize) return;
    throw_error(ErrorCode::kInvalidArgument, "codebook size ", k, ", expected ", kMinCodebookSize,
                " to ", kMaxCodebookSize);
  };
  check_size(options.encode.codebook_size);
  for (const auto& [glob, k] : options.codebook_sizes) check_size(k);
  const double fraction = options.encode.outliers.fraction;
  if (!(fraction >= 0.0 && fraction <= 1.0)) {
    throw_error(ErrorCode::kInvalidArgument, "outlier share ", fraction, ", expected 0 to 100 %");
  }
  check_shard_bytes(options.shard_bytes);
  return Planner(source, options).run();
}

std::vector<PlanEntry> plan_compression(const std::filesystem::path& source,
                                        const CompressOptions& options) {
  return make_plan(Checkpoint(source, options.hooks), options);
}

}  // namespace helix
