#include "convert/receipt.h"

#include <sys/resource.h>

#include <cmath>

#include "convert/plan.h"
#include "helix/version.h"

namespace helix {
namespace {

Json finite_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

double ratio(std::uint64_t before, std::uint64_t after) {
  return after == 0 ? 0.0 : static_cast<double>(before) / static_cast<double>(after);
}

std::string policy_text(const OutlierPolicy& policy) {
  switch (policy.kind) {
    case OutlierPolicy::Kind::kAuto: return "auto";
    case OutlierPolicy::Kind::kNone: return "none";
    case OutlierPolicy::Kind::kCount: return std::to_string(policy.count);
    case OutlierPolicy::Kind::kFraction: return Json(policy.fraction * 100.0).dump() + "%";
  }
  return "";
}

Json options_json(const CompressOptions& options) {
  Json sizes = Json::array();
  for (const auto& [glob, k] : options.codebook_sizes)
    sizes.push_back({{"pattern", glob}, {"k", k}});
  return {{"k", options.encode.codebook_size},
          {"k_by_pattern", sizes},
          {"outliers", policy_text(options.encode.outliers)},
          {"column_scales", options.encode.column_scales == ColumnScales::kAuto ? "auto" : "none"},
          {"include", options.include},
          {"exclude", options.exclude},
          {"embeddings", options.embeddings},
          {"lm_head", options.lm_head},
          {"strict", options.strict},
          {"shard_bytes", options.shard_bytes}};
}

Json files_json(const std::vector<FileHash>& files) {
  Json list = Json::array();
  for (const FileHash& file : files) {
    list.push_back({{"name", file.name}, {"bytes", file.bytes}, {"sha256", file.sha256}});
  }
  return list;
}

Json tensor_json(const PlanEntry& entry, const Metrics& metrics) {
  Json tensor = {{"name", entry.name},     {"action", action_name(entry.action)},
                 {"reason", entry.reason}, {"dtype", dtype_name(entry.dtype)},
                 {"shape", entry.shape},   {"bytes", entry.bytes}};
  if (entry.action == Action::kCompress) {
    tensor["k"] = entry.encode.codebook_size;
    tensor.update(metrics_json(metrics));
  }
  return tensor;
}

}  // namespace

Json metrics_json(const Metrics& metrics) {
  return {{"weight_count", metrics.weight_count},
          {"stored_bytes", metrics.stored_bytes},
          {"bits_per_weight", finite_or_null(metrics.bits_per_weight())},
          {"outlier_count", metrics.outlier_count},
          {"snr_db", finite_or_null(metrics.snr_db())},
          {"relative_squared_error", finite_or_null(metrics.relative_squared_error())},
          {"cosine", finite_or_null(metrics.cosine())},
          {"max_error", finite_or_null(metrics.max_error)}};
}

std::uint64_t peak_resident_bytes() {
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

Json make_receipt(const ReceiptFacts& facts) {
  Metrics totals;
  std::uint64_t counts[3] = {};
  std::uint64_t linear_bytes = 0;
  Json tensors = Json::array();
  for (std::size_t i = 0; i < facts.plan->size(); ++i) {
    const PlanEntry& entry = (*facts.plan)[i];
    const Metrics& metrics = (*facts.metrics)[i];
    ++counts[static_cast<std::size_t>(entry.action)];
    if (entry.action == Action::kCompress) {
      totals += metrics;
      linear_bytes += entry.bytes;
    }
    tensors.push_back(tensor_json(entry, metrics));
  }
  return {
      {"format", "hxq_receipt"},
      {"schema_version", 1},
      {"helix_version", version()},
      {"options", options_json(*facts.options)},
      {"source", {{"name", facts.source_name}, {"files", files_json(facts.source_files)}}},
      {"output", {{"files", files_json(facts.output_files)}}},
      {"counts",
       {{"compressed", counts[0]},
        {"exact", counts[1]},
        {"skipped", counts[2]},
        {"keys", facts.key_count}}},
      {"sizes",
       {{"source_weight_file_bytes", facts.source_weight_bytes},
        {"output_weight_file_bytes", facts.output_weight_bytes},
        {"source_compressed_bytes", linear_bytes},
        {"output_compressed_bytes", totals.stored_bytes}}},
      {"ratios",
       {{"compressed_tensors", ratio(linear_bytes, totals.stored_bytes)},
        {"weight_files", ratio(facts.source_weight_bytes, facts.output_weight_bytes)}}},
      {"totals", metrics_json(totals)},
      {"tensors", tensors},
      {"run",
       {{"command", facts.options->command},
        {"seconds", facts.seconds},
        {"source_bytes_per_second",
         facts.seconds > 0 ? static_cast<double>(facts.source_weight_bytes) / facts.seconds : 0.0},
        {"peak_resident_bytes", peak_resident_bytes()},
        {"threads", facts.thread_count},
        {"resumed", facts.resumed}}}};
}

}  // namespace helix
