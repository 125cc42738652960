// Every check that an HXQ checkpoint can be put to, each finding kept, so that one run tells all.

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <set>

#include "base/file.h"
#include "base/message.h"
#include "base/thread_pool.h"
#include "checkpoint/checkpoint.h"
#include "convert/file_hashes.h"
#include "convert/receipt.h"
#include "helix/inspect.h"

namespace helix {
namespace {

namespace fs = std::filesystem;

class Verification {
 public:
  Verification(const fs::path& folder, const VerifyOptions& options)
      : options_(options),
        folder_(folder),
        checkpoint_(folder, options.hooks),
        pool_(options.thread_count != 0 ? options.thread_count : hardware_threads()) {
    if (!checkpoint_.is_compressed()) {
      throw_error(ErrorCode::kInvalidArgument, folder.string(), ": is not an HXQ checkpoint");
    }
    if (!options.against.empty()) dense_.emplace(options.against, options.hooks);
    if (dense_ && dense_->is_compressed()) {
      throw_error(ErrorCode::kInvalidArgument, options.against.string(),
                  ": is compressed; expected the dense checkpoint");
    }
    if (fs::exists(folder / kReceiptFileName)) read_receipt();
  }

  VerifyReport run() {
    report_.module_count = checkpoint_.modules().size();
    report_.exact_count = checkpoint_.exact_tensors().size();
    check_hashes();
    check_modules();
    check_completeness();
    check_key_count();
    if (dense_) check_exact_tensors();
    if (dense_) check_totals();
    std::stable_sort(
        report_.problems.begin(), report_.problems.end(),
        [](const VerifyProblem& a, const VerifyProblem& b) { return a.finding < b.finding; });
    return std::move(report_);
  }

 private:
  template <typename... Parts>
  void found(Finding finding, const Parts&... parts) {
    const std::lock_guard lock(mutex_);
    report_.problems.push_back({finding, concat(parts...)});
  }

  void read_receipt() {
    const std::string file = (folder_ / kReceiptFileName).string();
    receipt_ = parse_json(read_file(file), file);
    if (!receipt_.is_object() || receipt_.value("format", Json()) != "hxq_receipt") {
      throw_error(ErrorCode::kCorruptData, file, ": is not a receipt of this format");
    }
    for (const Json& tensor : receipt_list("/tensors")) {
      if (!tensor.is_object() || !tensor.contains("name") || !tensor["name"].is_string()) {
        throw_error(ErrorCode::kCorruptData, file, ": an entry of \"tensors\" has no name");
      }
      receipt_tensors_[tensor["name"].get<std::string>()] = tensor;
    }
    report_.has_receipt = true;
  }

  // The receipt's list at `path`, or an empty one: a receipt is input like any other.
  Json receipt_list(const char* pointer) const {
    const Json::json_pointer at(pointer);
    return receipt_.contains(at) && receipt_.at(at).is_array() ? receipt_.at(at) : Json::array();
  }

  void check_hashes() {
    struct Expected {
      std::string name;
      std::string sha256;
    };
    std::vector<Expected> files;
    std::uint64_t total = 0;
    for (const Json& file : receipt_list("/output/files")) {
      if (!file.is_object() || !file.contains("name") || !file["name"].is_string()) continue;
      const std::string name = file["name"].get<std::string>();
      const fs::path path = (folder_ / name).lexically_normal();
      const fs::path relative = path.lexically_relative(folder_.lexically_normal());
      if (relative.empty() || *relative.begin() == ".." || !fs::is_regular_file(path)) {
        found(Finding::kHash, name, ": listed in the receipt, but absent");
        continue;
      }
      total += fs::file_size(path);
      const Json sha256 = file.value("sha256", Json());
      files.push_back({name, sha256.is_string() ? sha256.get<std::string>() : sha256.dump()});
    }
    WorkReporter reporter(options_.hooks, "hash", total);
    pool_.run(files.size(), [&](std::size_t i) {
      const FileHash hash = hash_file(folder_, files[i].name, reporter);
      if (hash.sha256 != files[i].sha256) {
        found(Finding::kHash, files[i].name, ": SHA-256 is ", hash.sha256, ", the receipt says ",
              files[i].sha256);
      }
    });
  }

  void check_modules() {
    std::vector<const ModuleParts*> modules;
    std::uint64_t total = 0;
    for (const auto& [name, parts] : checkpoint_.modules()) {
      modules.push_back(&parts);
      total += parts.indices->view.data.size();
    }
    WorkReporter reporter(options_.hooks, "verify", total);
    std::vector<std::optional<Metrics>> metrics(modules.size());
    pool_.run(modules.size(), [&](std::size_t i) {
      const ModuleParts& parts = *modules[i];
      try {
        metrics[i] = check_module(parts);
      } catch (const Error& fault) {
        if (fault.code() == ErrorCode::kCancelled) throw;
        found(Finding::kContent, fault.what());
      }
      reporter.add(parts.name, parts.indices->view.data.size());
    });
    for (std::size_t i = 0; i < modules.size(); ++i) {
      if (!metrics[i]) continue;
      report_.totals += *metrics[i];
      report_.modules.push_back({modules[i]->name, *metrics[i]});
      compare_with_receipt(modules[i]->dense_key, *metrics[i]);
    }
  }

  std::optional<Metrics> check_module(const ModuleParts& parts) {
    const CompressedTensor module = checkpoint_.load_module(parts.name);
    if (!dense_) return std::nullopt;
    const StoredTensor* dense = dense_->store().find(parts.dense_key);
    if (dense == nullptr) {
      found(Finding::kMissing, parts.dense_key, ": is not in ", options_.against.string());
      return std::nullopt;
    }
    if (dense->view.shape != Shape{module.rows, module.columns}) {
      found(Finding::kContent, parts.name, ": decodes to [", module.rows, ", ", module.columns,
            "], the dense tensor is ", shape_text(dense->view.shape));
      return std::nullopt;
    }
    return measure(module, dense->view);
  }

  // Re-measured metrics are the same arithmetic on the same bytes, so they equal the receipt's to
  // the last digits that JSON keeps.
  void compare_with_receipt(const std::string& key, const Metrics& metrics) {
    constexpr double kTolerance = 1e-9;
    const auto receipt = receipt_tensors_.find(key);
    if (receipt == receipt_tensors_.end()) return;
    const Json measured = metrics_json(metrics);
    for (const char* field :
         {"snr_db", "relative_squared_error", "cosine", "max_error", "bits_per_weight"}) {
      const Json stated = receipt->second.value(field, Json(nullptr));
      const bool both = stated.is_number() && measured[field].is_number();
      const double value = both ? measured[field].get<double>() : 0.0;
      if (both ? std::abs(stated.get<double>() - value) > kTolerance * std::abs(value)
               : stated != measured[field]) {
        found(Finding::kMetrics, key, ": ", field, " is ", measured[field].dump(),
              ", the receipt says ", stated.dump());
      }
    }
  }

  std::set<std::string> dense_keys() const {
    std::set<std::string> keys;
    for (const StoredTensor* tensor : checkpoint_.exact_tensors()) keys.insert(tensor->name);
    for (const auto& [name, parts] : checkpoint_.modules()) keys.insert(parts.dense_key);
    return keys;
  }

  void check_completeness() {
    const std::set<std::string> present = dense_keys();
    std::set<std::string> wanted;
    for (const std::string& key : expected_dense_keys(checkpoint_.config())) wanted.insert(key);
    for (const Json& tensor : receipt_list("/tensors")) {
      if (tensor.value("action", Json()) != "skip")
        wanted.insert(tensor["name"].get<std::string>());
    }
    if (dense_) {
      for (const StoredTensor& tensor : dense_->store().tensors()) {
        if (!is_tied_head(tensor.name)) wanted.insert(tensor.name);
      }
    }
    for (const std::string& key : wanted) {
      if (!present.contains(key))
        found(Finding::kMissing, key, ": is neither compressed nor exact in the checkpoint");
    }
  }

  bool is_tied_head(const std::string& key) const {
    const auto tied = checkpoint_.config().find("tie_word_embeddings");
    const bool ties = tied != checkpoint_.config().end() && tied->is_boolean() && tied->get<bool>();
    return ties && (key.ends_with("lm_head.weight") || key.ends_with("embed_out.weight") ||
                    key.ends_with("predictions.decoder.weight"));
  }

  void check_key_count() {
    const std::uint64_t expected = checkpoint_.expected_key_count();
    const std::uint64_t keys = checkpoint_.store().tensors().size();
    if (keys != expected) {
      found(Finding::kKeyCount, keys, " keys, but 2C + 2S + 3V + H + E is ", expected);
    }
    const Json::json_pointer at("/counts/keys");
    if (receipt_.contains(at) && receipt_.at(at) != keys) {
      found(Finding::kKeyCount, keys, " keys, the receipt says ", receipt_.at(at).dump());
    }
  }

  void check_exact_tensors() {
    for (const StoredTensor* tensor : checkpoint_.exact_tensors()) {
      options_.hooks.check_cancelled();
      const StoredTensor* dense = dense_->store().find(tensor->name);
      if (dense == nullptr) {
        found(Finding::kMissing, tensor->name, ": is not in ", options_.against.string());
      } else if (!same_tensor(tensor->view, dense->view)) {
        found(Finding::kMetrics, tensor->name,
              ": differs from the dense checkpoint, though it is stored exact");
      }
    }
  }

  void check_totals() {
    const Json::json_pointer at("/totals/snr_db");
    const double measured = report_.totals.snr_db();
    if (receipt_.contains(at) && receipt_.at(at).is_number() &&
        std::abs(receipt_.at(at).get<double>() - measured) > 1e-6) {
      found(Finding::kMetrics, "totals: snr_db is ", measured, ", the receipt says ",
            receipt_.at(at).dump());
    }
  }

  const VerifyOptions& options_;
  const fs::path folder_;
  const Checkpoint checkpoint_;
  std::optional<Checkpoint> dense_;
  ThreadPool pool_;
  Json receipt_ = Json::object();
  std::map<std::string, Json> receipt_tensors_;
  VerifyReport report_;
  std::mutex mutex_;
};

}  // namespace

const char* finding_name(Finding finding) noexcept {
  switch (finding) {
    case Finding::kHash: return "hash";
    case Finding::kContent: return "content";
    case Finding::kMissing: return "missing";
    case Finding::kKeyCount: return "key count";
    case Finding::kMetrics: return "metrics";
  }
  return "";
}

VerifyReport verify(const fs::path& folder, const VerifyOptions& options) {
  return with_file_errors([&] { return Verification(folder, options).run(); });
}

}  // namespace helix
