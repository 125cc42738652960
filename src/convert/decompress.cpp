// An HXQ checkpoint of any variant back to a dense one.

#include <algorithm>
#include <memory>

#include "base/file.h"
#include "base/message.h"
#include "base/thread_pool.h"
#include "checkpoint/checkpoint.h"
#include "convert/companion_files.h"
#include "convert/memory_gate.h"
#include "convert/shard_file.h"
#include "convert/shards.h"
#include "convert/staging.h"
#include "convert/work_reporter.h"
#include "helix/convert.h"

namespace helix {
namespace {

namespace fs = std::filesystem;

// One tensor of the dense checkpoint: an exact one as it is, or a module to decode.
struct DenseTensor {
  std::string key;
  const StoredTensor* exact = nullptr;
  std::string module;
  TensorView view;  // `data` only for exact tensors
};

DType output_dtype(const Json& config, const std::string& asked) {
  const auto pick = [](const std::string& name, DType& dtype) {
    if (name == "f32" || name == "float32") return dtype = DType::kF32, true;
    if (name == "f16" || name == "float16") return dtype = DType::kF16, true;
    if (name == "bf16" || name == "bfloat16") return dtype = DType::kBF16, true;
    return false;
  };
  DType dtype = DType::kF32;
  if (!asked.empty()) {
    if (pick(asked, dtype)) return dtype;
    throw_error(ErrorCode::kInvalidArgument, "dtype \"", asked, "\", expected f32, f16 or bf16");
  }
  for (const char* key : {"dtype", "torch_dtype"}) {
    const auto found = config.find(key);
    if (found != config.end() && found->is_string() && pick(found->get<std::string>(), dtype))
      return dtype;
  }
  return DType::kF32;
}

class Decompression {
 public:
  Decompression(const fs::path& source, const fs::path& destination,
                const DecompressOptions& options)
      : options_(options),
        source_(source, options.hooks),
        pool_(options.thread_count != 0 ? options.thread_count : hardware_threads()),
        staging_(source, destination, {false, options.force, false}) {
    if (!source_.is_compressed()) {
      throw_error(ErrorCode::kInvalidArgument, source.string(), ": is not an HXQ checkpoint");
    }
    summary_.dtype = output_dtype(source_.config(), options.dtype);
    check_shard_bytes(options.shard_bytes);
  }

  DecompressSummary run() {
    list_tensors();
    companions_ = list_companion_files(source_.folder(), source_.store().files(),
                                       options_.copy_code, options_.hooks);
    open_shards();
    decode_modules();
    for (const auto& shard : shards_) {
      shard->finish({}, options_.hooks);
      shard->sync();
      summary_.bytes += fs::file_size(shard->path());
    }
    write_companions();
    staging_.publish();
    return summary_;
  }

 private:
  void list_tensors() {
    for (const StoredTensor* tensor : source_.exact_tensors()) {
      tensors_.push_back({tensor->name, tensor, "", tensor->view});
    }
    for (const auto& [name, parts] : source_.modules()) {
      if (parts.exact != nullptr) continue;  // the exact tensor wins
      const CompressedTensor module = source_.load_module(name);
      tensors_.push_back(
          {parts.dense_key, nullptr, name, {summary_.dtype, {module.rows, module.columns}, {}}});
    }
    std::sort(tensors_.begin(), tensors_.end(),
              [](const DenseTensor& a, const DenseTensor& b) { return a.key < b.key; });
  }

  void open_shards() {
    std::vector<std::uint64_t> sizes;
    for (const DenseTensor& tensor : tensors_) {
      sizes.push_back(element_count(tensor.view.shape) * dtype_bytes(tensor.view.dtype));
      total_bytes_ += sizes.back();
    }
    assignments_ = assign_shards(sizes, options_.shard_bytes);
    places_.resize(tensors_.size());
    std::map<std::string, std::string> file_of_key;
    for (ShardAssignment& shard : assignments_) {
      // Larger elements first, as ShardFile lays them out.
      std::stable_sort(shard.items.begin(), shard.items.end(), [&](std::size_t a, std::size_t b) {
        return dtype_bytes(tensors_[a].view.dtype) > dtype_bytes(tensors_[b].view.dtype);
      });
      std::vector<OutputTensor> tensors;
      for (const std::size_t item : shard.items) {
        places_[item] = {shards_.size(), tensors.size()};
        tensors.push_back({tensors_[item].key, tensors_[item].view});
        file_of_key[tensors_[item].key] = shard.file_name;
      }
      shards_.push_back(std::make_unique<ShardFile>(staging_.folder() / shard.file_name,
                                                    std::move(tensors), std::vector<OutputTensor>{},
                                                    false));
    }
    if (shards_.size() > 1) write_shard_index(staging_.folder(), file_of_key, total_bytes_);
  }

  void decode_modules() {
    WorkReporter reporter(options_.hooks, "decompress", total_bytes_);
    MemoryGate gate(std::uint64_t{256} << 20);
    pool_.run(tensors_.size(), [&](std::size_t item) {
      const DenseTensor& tensor = tensors_[item];
      const auto [shard, index] = places_[item];
      const std::uint64_t bytes = shards_[shard]->early_bytes(index);
      options_.hooks.check_cancelled();
      if (tensor.exact != nullptr) {
        shards_[shard]->write_early(index, tensor.view.data);
        release_pages(tensor.view.data);
      } else {
        const MemoryGate::Pass pass(gate, bytes);
        shards_[shard]->write_early(index, decoded(tensor));
      }
      reporter.add(tensor.key, bytes);
    });
    for (const DenseTensor& tensor : tensors_)
      ++(tensor.exact != nullptr ? summary_.exact_count : summary_.module_count);
  }

  std::vector<std::byte> decoded(const DenseTensor& tensor) const {
    if (element_count(tensor.view.shape) == 0) return {};  // however many rows of nothing
    const CompressedTensor module = source_.load_module(tensor.module);
    const std::uint64_t row_bytes = module.columns * dtype_bytes(summary_.dtype);
    std::vector<std::byte> bytes(module.rows * row_bytes);
    std::vector<float> row(module.columns);
    for (std::uint64_t i = 0; i < module.rows; ++i) {
      if (i % 1024 == 0) options_.hooks.check_cancelled();
      decode_rows(module, i, row);
      write_floats(row, summary_.dtype, std::span(bytes).subspan(i * row_bytes, row_bytes));
    }
    if (summary_.dtype != DType::kF32 && !all_finite({summary_.dtype, tensor.view.shape, bytes})) {
      throw_error(ErrorCode::kUnsupported, source_.folder().string(), ": tensor ", tensor.key,
                  " has weights beyond the range of ", dtype_name(summary_.dtype),
                  "; decompress to F32");
    }
    return bytes;
  }

  void write_companions() {
    Json config = source_.config();
    config.erase("quantization_config");
    write_file_atomically(staging_.folder() / "config.json", dump_python_json(config));
    copy_companion_files(source_.folder(), companions_, staging_.folder(), options_.hooks);
  }

  const DecompressOptions& options_;
  const Checkpoint source_;
  ThreadPool pool_;
  Staging staging_;
  std::vector<DenseTensor> tensors_;
  std::vector<std::string> companions_;
  std::vector<ShardAssignment> assignments_;
  std::vector<std::unique_ptr<ShardFile>> shards_;
  std::vector<std::pair<std::size_t, std::size_t>> places_;
  std::uint64_t total_bytes_ = 0;
  DecompressSummary summary_;
};

}  // namespace

DecompressSummary decompress(const fs::path& source, const fs::path& destination,
                             const DecompressOptions& options) {
  return with_file_errors([&] { return Decompression(source, destination, options).run(); });
}

}  // namespace helix
