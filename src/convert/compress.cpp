// A dense checkpoint to an HXQ one, in four passes: scan the source (hashes, finite weights),
// encode the modules, write the rest of each shard, publish. Only the second takes long; the
// journal lets it continue.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <set>

#include "base/file.h"
#include "base/hash.h"
#include "base/message.h"
#include "base/thread_pool.h"
#include "checkpoint/checkpoint.h"
#include "convert/companion_files.h"
#include "convert/journal.h"
#include "convert/memory_gate.h"
#include "convert/plan.h"
#include "convert/receipt.h"
#include "convert/shard_file.h"
#include "convert/shards.h"
#include "convert/staging.h"
#include "helix/version.h"

namespace helix {
namespace {

namespace fs = std::filesystem;

OutputTensor part(const std::string& module, const char* name, DType dtype, Shape shape,
                  const void* data, std::size_t bytes) {
  return {module + name, {dtype, std::move(shape), {static_cast<const std::byte*>(data), bytes}}};
}

template <typename Element>
void add_part(std::vector<OutputTensor>& parts, const std::string& module, const char* name,
              DType dtype, const std::vector<Element>& values) {
  if (values.empty()) return;
  parts.push_back(
      part(module, name, dtype, {values.size()}, values.data(), values.size() * sizeof(Element)));
}

IndexFormat index_format_for(const PlanEntry& entry) {
  if (entry.encode.codebook_size <= 256) return IndexFormat::kU8;
  return element_count(entry.shape) % 2 == 0 ? IndexFormat::kPacked12 : IndexFormat::kU16;
}

// The index matrix as it stands in the file; its size is known before the codes are.
OutputTensor index_part(const PlanEntry& entry) {
  const IndexFormat format = index_format_for(entry);
  const std::uint64_t bytes = index_bytes(format, element_count(entry.shape));
  const std::string module = module_name(entry.name);
  if (format == IndexFormat::kPacked12)
    return part(module, ".indices", DType::kU8, {bytes}, nullptr, 0);
  return part(module, ".indices", format == IndexFormat::kU8 ? DType::kU8 : DType::kU16,
              entry.shape, nullptr, 0);
}

// The largest small parts that a module can have, for the room of the header.
void add_longest_parts(std::vector<OutputTensor>& parts, const PlanEntry& entry) {
  const std::string module = module_name(entry.name);
  const std::uint64_t outliers =
      largest_outlier_count(entry.encode.outliers, element_count(entry.shape));
  parts.push_back(part(module, ".sidecar_positions", DType::kI64, {outliers}, nullptr, 0));
  parts.push_back(part(module, ".sidecar_values", DType::kF32, {outliers}, nullptr, 0));
  parts.push_back(part(module, ".codebook", DType::kF32, {entry.encode.codebook_size}, nullptr, 0));
  parts.push_back(part(module, ".channel_scales", DType::kF32, {entry.shape[1]}, nullptr, 0));
}

// F64 weights become F32 first, where large ones are infinite.
bool finite_in_f32(const TensorView& view) {
  if (view.dtype != DType::kF64 || !all_finite(view)) return all_finite(view);
  std::vector<float> row(view.shape.back());
  for (std::uint64_t at = 0; at < element_count(view.shape); at += row.size()) {
    read_floats(view, at, row);
    if (!std::all_of(row.begin(), row.end(), [](float value) { return std::isfinite(value); }))
      return false;
  }
  return true;
}

class Compression {
 public:
  Compression(const fs::path& source, const fs::path& destination, const CompressOptions& options)
      : options_(options),
        started_(std::chrono::steady_clock::now()),
        source_(source, options.hooks),
        plan_(make_plan(source_, options)),
        pool_(options.thread_count != 0 ? options.thread_count : hardware_threads()),
        staging_(source, destination, {options.resume, options.force, true}),
        destination_(destination) {}

  std::string run() {
    companions_ = list_companion_files(source_.folder(), source_.store().files(),
                                       options_.copy_code, options_.hooks);
    scan();
    Journal journal(staging_.journal(), fingerprint(), options_.resume);
    staging_.keep_unfinished();
    if (staging_.already_published()) {
      staging_.publish();
      return read_file(destination_ / kReceiptFileName);
    }
    resumed_ = !journal.finished().empty();
    records_.resize(plan_.size());
    metrics_.resize(plan_.size());
    assign();
    drop_unneeded_files();
    open_shards(resumed_);
    encode(journal);
    finish_shards();
    const std::string receipt = write_companions();
    staging_.publish();
    return receipt;
  }

 private:
  const TensorView& view_of(std::size_t item) const { return source_.store().tensors()[item].view; }
  bool is_compressed(std::size_t item) const { return plan_[item].action == Action::kCompress; }

  // Hashes every source file; a matrix with a non-finite weight is kept exact, or refused.
  void scan() {
    const auto& files = source_.store().files();
    std::vector<std::size_t> candidates;
    std::uint64_t total = 0;
    for (const SafetensorsFile& file : files) total += file.bytes().size();
    for (std::size_t i = 0; i < plan_.size(); ++i) {
      if (is_compressed(i)) candidates.push_back(i);
    }
    WorkReporter reporter(options_.hooks, "scan", total);
    source_hashes_.resize(files.size());
    pool_.run(files.size() + candidates.size(), [&](std::size_t task) {
      if (task < files.size()) {
        const std::string name = files[task].path().filename().string();
        const auto bytes = files[task].bytes();
        source_hashes_[task] = {name, bytes.size(), hash_mapped(bytes, name, reporter)};
      } else {
        check_finite(candidates[task - files.size()], reporter);
      }
    });
  }

  void check_finite(std::size_t item, WorkReporter& reporter) {
    PlanEntry& entry = plan_[item];
    if (finite_in_f32(view_of(item))) return;
    if (options_.strict) {
      throw_error(ErrorCode::kUnsupported, source_.folder().string(), ": tensor ", entry.name,
                  " has a non-finite weight");
    }
    entry.action = Action::kExact;
    entry.reason = "non-finite weights";
    reporter.warn(entry.name + ": has a non-finite weight; kept exact");
  }

  // All that the output's bytes depend on. A run continues only one of the same fingerprint.
  std::string fingerprint() const {
    Json plan = Json::array();
    for (const PlanEntry& entry : plan_) {
      const OutlierPolicy& outliers = entry.encode.outliers;
      plan.push_back({entry.name, action_name(entry.action), entry.encode.codebook_size,
                      static_cast<int>(outliers.kind), outliers.count, outliers.fraction,
                      static_cast<int>(entry.encode.column_scales)});
    }
    Json files = Json::array();
    for (const FileHash& file : source_hashes_) files.push_back({file.name, file.sha256});
    return Json{{"version", version()},
                {"shard_bytes", options_.shard_bytes},
                {"files", files},
                {"plan", plan}}
        .dump();
  }

  void assign() {
    std::vector<std::uint64_t> sizes;
    for (std::size_t i = 0; i < plan_.size(); ++i) {
      if (plan_[i].action == Action::kSkip) continue;
      written_.push_back(i);
      sizes.push_back(is_compressed(i) ? compressed_bytes_bound(plan_[i]) : plan_[i].bytes);
    }
    assignments_ = assign_shards(sizes, options_.shard_bytes);
    for (ShardAssignment& shard : assignments_) {
      for (std::size_t& item : shard.items) item = written_[item];
    }
  }

  // Companions are copied again, and a temporary file of a killed run must not be published.
  void drop_unneeded_files() const {
    std::set<std::string> shards;
    for (const ShardAssignment& shard : assignments_) shards.insert(shard.file_name);
    staging_.remove_all_but(shards);
  }

  void open_shards(bool keep) {
    places_.resize(plan_.size());
    for (const ShardAssignment& shard : assignments_) {
      std::vector<OutputTensor> early;
      std::vector<OutputTensor> longest_late;
      // U16 indices (an odd count at k > 256) come first, as ShardFile orders by element size.
      for (const bool wide : {true, false}) {
        for (const std::size_t item : shard.items) {
          if (!is_compressed(item) || (index_format_for(plan_[item]) == IndexFormat::kU16) != wide)
            continue;
          places_[item] = {shards_.size(), early.size()};
          early.push_back(index_part(plan_[item]));
        }
      }
      for (const std::size_t item : shard.items) {
        if (is_compressed(item)) {
          add_longest_parts(longest_late, plan_[item]);
        } else {
          longest_late.push_back({plan_[item].name, view_of(item)});
        }
      }
      shards_.push_back(std::make_unique<ShardFile>(staging_.folder() / shard.file_name,
                                                    std::move(early), longest_late, keep));
    }
  }

  // Largest first, so that no thread is left with a large one at the end.
  std::vector<std::size_t> modules_by_size() const {
    std::vector<std::size_t> items;
    for (const std::size_t item : written_) {
      if (is_compressed(item)) items.push_back(item);
    }
    std::stable_sort(items.begin(), items.end(),
                     [&](std::size_t a, std::size_t b) { return plan_[a].bytes > plan_[b].bytes; });
    return items;
  }

  void encode(Journal& journal) {
    const std::vector<std::size_t> items = modules_by_size();
    std::uint64_t total = 0;
    for (const std::size_t item : items) total += plan_[item].bytes;
    WorkReporter reporter(options_.hooks, "compress", total);
    constexpr std::uint64_t kLeastBudget = std::uint64_t{256} << 20;
    MemoryGate gate(kLeastBudget);
    std::mutex journal_mutex;
    pool_.run(items.size(), [&](std::size_t task) {
      const std::size_t item = items[task];
      const PlanEntry& entry = plan_[item];
      const MemoryGate::Pass pass(gate, 3 * element_count(entry.shape));
      options_.hooks.check_cancelled();
      if (!restore(journal, item)) {
        encode_module(item);
        const std::lock_guard lock(journal_mutex);
        journal.append(records_[item]);
      }
      release_pages(view_of(item).data);
      reporter.add(entry.name, entry.bytes);
    });
  }

  void encode_module(std::size_t item) {
    const PlanEntry& entry = plan_[item];
    CompressedTensor tensor = helix::encode(view_of(item), entry.encode);
    JournalRecord& record = records_[item];
    record.name = entry.name;
    record.metrics = metrics_[item] = measure(tensor, view_of(item));
    record.index_hash = fast_hash(tensor.indices);
    const auto [shard, index] = places_[item];
    shards_[shard]->write_early(index, tensor.indices);
    tensor.indices = {};
    tensor.index_owner.reset();
    record.tensor = std::move(tensor);
  }

  // Takes a module from an interrupted run, if what lies in the shard is what that run wrote.
  bool restore(const Journal& journal, std::size_t item) {
    const auto found = journal.finished().find(plan_[item].name);
    if (found == journal.finished().end()) return false;
    const auto [shard, index] = places_[item];
    const MappedFile file(shards_[shard]->path());
    const std::uint64_t offset = shards_[shard]->early_offset(index);
    const std::uint64_t size = shards_[shard]->early_bytes(index);
    if (file.bytes().size() < offset + size) return false;
    if (fast_hash(file.bytes().subspan(offset, size)) != found->second.index_hash) return false;
    records_[item] = found->second;
    metrics_[item] = found->second.metrics;
    return true;
  }

  void finish_shards() {
    std::uint64_t total = 0;
    for (std::size_t shard = 0; shard < shards_.size(); ++shard) {
      std::vector<OutputTensor> late;
      for (const std::size_t item : assignments_[shard].items) add_late_parts(late, item);
      shards_[shard]->finish(std::move(late), options_.hooks);
      total += fs::file_size(shards_[shard]->path());
    }
    WorkReporter reporter(options_.hooks, "hash", total);
    output_hashes_.resize(shards_.size());
    pool_.run(2 * shards_.size(), [&](std::size_t task) {
      const std::size_t shard = task / 2;
      if (task % 2 == 0) {
        shards_[shard]->sync();
      } else {
        output_hashes_[shard] =
            hash_file(staging_.folder(), assignments_[shard].file_name, reporter);
      }
    });
    output_bytes_ = total;
  }

  void add_late_parts(std::vector<OutputTensor>& late, std::size_t item) const {
    if (!is_compressed(item)) {
      late.push_back({plan_[item].name, view_of(item)});
      return;
    }
    const CompressedTensor& tensor = records_[item].tensor;
    const std::string module = module_name(plan_[item].name);
    add_part(late, module, ".sidecar_positions", DType::kI64, tensor.sidecar_positions);
    add_part(late, module, ".sidecar_values", DType::kF32, tensor.sidecar_values);
    add_part(late, module, ".codebook", DType::kF32, tensor.codebook);
    add_part(late, module, ".channel_scales", DType::kF32, tensor.channel_scales);
  }

  Json quantization_config() const {
    Json modules = Json::array();
    Json sizes = Json::object();
    Json shapes = Json::object();
    Metrics totals;
    std::uint64_t source_bytes = 0;
    for (std::size_t i = 0; i < plan_.size(); ++i) {
      if (!is_compressed(i)) continue;
      const std::string module = module_name(plan_[i].name);
      modules.push_back(module);
      totals += metrics_[i];
      source_bytes += plan_[i].bytes;
      if (plan_[i].encode.codebook_size != 256) sizes[module] = plan_[i].encode.codebook_size;
      if (index_format_for(plan_[i]) == IndexFormat::kPacked12) shapes[module] = plan_[i].shape;
    }
    Json config = {{"quant_method", "hxq"},
                   {"codebook_size", options_.encode.codebook_size},
                   {"n_clusters", options_.encode.codebook_size},
                   {"bits", 8},
                   {"vector_dim", 1},
                   {"sidecar_enabled", totals.outlier_count > 0},
                   {"compression_ratio", totals.stored_bytes == 0
                                             ? 1.0
                                             : static_cast<double>(source_bytes) /
                                                   static_cast<double>(totals.stored_bytes)}};
    if (!sizes.empty()) config["module_k_map"] = sizes;
    if (!shapes.empty()) {
      config["index_packing"] = "12bit";
      config["module_shapes"] = shapes;
    }
    config["compressed_modules"] = modules;
    return config;
  }

  // Everything but the weights. Returns the receipt.
  std::string write_companions() {
    Json config = source_.config();
    config["quantization_config"] = quantization_config();
    write_file_atomically(staging_.folder() / "config.json", dump_python_json(config));
    copy_companion_files(source_.folder(), companions_, staging_.folder(), options_.hooks);
    ReceiptFacts facts;
    write_index(facts);
    const Hooks silent;
    WorkReporter reporter(silent, "hash", 0);
    std::vector<std::string> names = {"config.json"};
    if (shards_.size() > 1) names.emplace_back(kIndexFileName);
    names.insert(names.end(), companions_.begin(), companions_.end());
    for (const std::string& name : names)
      output_hashes_.push_back(hash_file(staging_.folder(), name, reporter));
    facts.options = &options_;
    facts.source_name = fs::weakly_canonical(source_.folder()).filename().string();
    facts.source_files = source_hashes_;
    facts.output_files = output_hashes_;
    for (const FileHash& file : source_hashes_) facts.source_weight_bytes += file.bytes;
    facts.output_weight_bytes = output_bytes_;
    facts.plan = &plan_;
    facts.metrics = &metrics_;
    facts.resumed = resumed_;
    facts.thread_count = pool_.thread_count();
    facts.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
    // Paths need not be UTF-8; the receipt has to be.
    const std::string receipt =
        make_receipt(facts).dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
    write_file_atomically(staging_.folder() / kReceiptFileName, receipt);
    return receipt;
  }

  void write_index(ReceiptFacts& facts) const {
    std::map<std::string, std::string> file_of_key;
    std::uint64_t bytes = 0;
    for (std::size_t shard = 0; shard < shards_.size(); ++shard) {
      for (const TensorEntry& entry : shards_[shard]->entries()) {
        file_of_key[entry.name] = assignments_[shard].file_name;
      }
      bytes += shards_[shard]->data_bytes();
    }
    facts.key_count = file_of_key.size();
    if (shards_.size() > 1) write_shard_index(staging_.folder(), file_of_key, bytes);
  }

  const CompressOptions& options_;
  const std::chrono::steady_clock::time_point started_;
  const Checkpoint source_;
  std::vector<PlanEntry> plan_;
  ThreadPool pool_;
  Staging staging_;
  std::vector<std::string> companions_;
  fs::path destination_;
  std::vector<FileHash> source_hashes_;
  std::vector<std::size_t> written_;          // plan entries that are not skipped
  std::vector<ShardAssignment> assignments_;  // items are plan entries
  std::vector<std::unique_ptr<ShardFile>> shards_;
  std::vector<std::pair<std::size_t, std::size_t>>
      places_;  // shard and early tensor of each plan entry
  std::vector<JournalRecord> records_;
  std::vector<Metrics> metrics_;
  std::vector<FileHash> output_hashes_;
  std::uint64_t output_bytes_ = 0;
  bool resumed_ = false;
};

}  // namespace

std::string compress(const fs::path& source, const fs::path& destination,
                     const CompressOptions& options) {
  return with_file_errors([&] { return Compression(source, destination, options).run(); });
}

}  // namespace helix
