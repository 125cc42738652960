#include <nanobind/nanobind.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <utility>
#include <vector>

#include "encode_options.h"
#include "fields.h"
#include "helix/convert.h"
#include "helix/inspect.h"
#include "long_work.h"
#include "metrics.h"
#include "module.h"

namespace nb = nanobind;

namespace helix::python {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;
using CodebookSizes = std::vector<std::pair<std::string, std::uint32_t>>;

// CompressOptions as Python hands it over, a dict of its fields.
CompressOptions compress_options(const nb::dict& fields) {
  const auto flag = [&](const char* name) { return field<bool>(fields, name); };
  CompressOptions options;
  options.encode = encode_options(field<std::uint32_t>(fields, "codebook_size"), fields["outliers"],
                                  field<std::string>(fields, "column_scales"));
  options.codebook_sizes = field<CodebookSizes>(fields, "codebook_sizes");
  options.include = field<Names>(fields, "include");
  options.exclude = field<Names>(fields, "exclude");
  options.embeddings = flag("embeddings");
  options.lm_head = flag("lm_head");
  options.copy_code = flag("copy_code");
  options.strict = flag("strict");
  options.resume = flag("resume");
  options.force = flag("force");
  options.shard_bytes = field<std::uint64_t>(fields, "shard_bytes");
  options.thread_count = field<std::size_t>(fields, "threads");
  options.command = field<Names>(fields, "command");
  return options;
}

nb::str compress_folder(const fs::path& source, const fs::path& destination, const nb::dict& fields,
                        const nb::object& progress, const nb::object& log) {
  CompressOptions options = compress_options(fields);
  std::string receipt;
  run_interruptibly({progress, log}, [&](const Hooks& hooks) {
    options.hooks = hooks;
    receipt = compress(source, destination, options);
  });
  return nb::str(receipt.data(), receipt.size());
}

nb::tuple shape_tuple(const Shape& shape) { return nb::tuple(nb::cast(shape)); }

nb::list plan(const fs::path& source, const nb::dict& fields, const nb::object& log) {
  CompressOptions options = compress_options(fields);
  std::vector<PlanEntry> entries;
  run_interruptibly({nb::none(), log}, [&](const Hooks& hooks) {
    options.hooks = hooks;
    entries = plan_compression(source, options);
  });
  nb::list rows;
  for (const PlanEntry& entry : entries) {
    nb::dict row;
    row["name"] = entry.name;
    row["dtype"] = dtype_name(entry.dtype);
    row["shape"] = shape_tuple(entry.shape);
    row["stored_bytes"] = entry.bytes;
    row["action"] = action_name(entry.action);
    row["reason"] = entry.reason;
    const bool compressed = entry.action == Action::kCompress;
    row["codebook_size"] = compressed ? nb::cast(entry.encode.codebook_size) : nb::none();
    rows.append(row);
  }
  return rows;
}

nb::dict decompress_folder(const fs::path& source, const fs::path& destination,
                           const std::string& dtype, bool copy_code, bool force,
                           std::uint64_t shard_bytes, std::size_t threads,
                           const nb::object& progress, const nb::object& log) {
  DecompressSummary summary;
  run_interruptibly({progress, log}, [&](const Hooks& hooks) {
    summary = decompress(source, destination,
                         {.dtype = dtype,
                          .copy_code = copy_code,
                          .force = force,
                          .shard_bytes = shard_bytes,
                          .thread_count = threads,
                          .hooks = hooks});
  });
  nb::dict result;
  result["module_count"] = summary.module_count;
  result["exact_count"] = summary.exact_count;
  result["file_bytes"] = summary.bytes;
  result["dtype"] = dtype_name(summary.dtype);
  return result;
}

nb::dict tensor_dict(const InspectedTensor& tensor) {
  nb::dict row;
  row["name"] = tensor.name;
  row["compressed"] = tensor.compressed;
  row["ignored"] = tensor.ignored;
  row["overruled"] = tensor.overruled;
  row["dtype"] = dtype_name(tensor.dtype);
  row["shape"] = shape_tuple(tensor.shape);
  row["stored_bytes"] = tensor.stored_bytes;
  row["codebook_size"] = tensor.codebook_size;
  row["vector_size"] = tensor.vector_size;
  row["indices"] = tensor.indices;
  row["outlier_count"] = tensor.outlier_count;
  row["svd_rank"] = tensor.svd_rank;
  row["channel_scales"] = tensor.channel_scales;
  row["bits_per_weight"] = tensor.bits_per_weight;
  return row;
}

nb::dict inspect_folder(const fs::path& folder, const nb::object& log) {
  Inspection found;
  run_interruptibly({nb::none(), log}, [&](const Hooks& hooks) { found = inspect(folder, hooks); });
  nb::list tensors;
  for (const InspectedTensor& tensor : found.tensors) tensors.append(tensor_dict(tensor));
  nb::dict result;
  result["model_type"] = found.model_type;
  result["quant_method"] = found.quant_method;
  result["tensors"] = tensors;
  result["key_count"] = found.key_count;
  result["file_bytes"] = found.file_bytes;
  result["file_count"] = found.file_count;
  return result;
}

nb::dict report_dict(const VerifyReport& report) {
  nb::list problems;
  for (const VerifyProblem& problem : report.problems) {
    problems.append(nb::make_tuple(finding_name(problem.finding), problem.message));
  }
  nb::dict modules;
  for (const VerifiedModule& module : report.modules) {
    modules[module.name.c_str()] = metrics_dict(module.metrics);
  }
  nb::dict result;
  result["problems"] = problems;
  result["has_receipt"] = report.has_receipt;
  result["module_count"] = report.module_count;
  result["exact_count"] = report.exact_count;
  result["modules"] = modules;
  result["totals"] = report.modules.empty() ? nb::object(nb::none()) : metrics_dict(report.totals);
  return result;
}

nb::dict verify_folder(const fs::path& folder, const fs::path& against, std::size_t threads,
                       const nb::object& progress, const nb::object& log) {
  VerifyReport report;
  run_interruptibly({progress, log}, [&](const Hooks& hooks) {
    report = verify(folder, {.against = against, .thread_count = threads, .hooks = hooks});
  });
  return report_dict(report);
}

}  // namespace

void bind_checkpoint(nb::module_& module) {
  module.def("compress", compress_folder, nb::arg("source"), nb::arg("destination"),
             nb::arg("options"), nb::arg("progress").none(), nb::arg("log").none());
  module.def("plan", plan, nb::arg("source"), nb::arg("options"), nb::arg("log").none());
  module.def("decompress", decompress_folder, nb::arg("source"), nb::arg("destination"),
             nb::kw_only(), nb::arg("dtype"), nb::arg("copy_code"), nb::arg("force"),
             nb::arg("shard_bytes"), nb::arg("threads"), nb::arg("progress").none(),
             nb::arg("log").none());
  module.def("inspect", inspect_folder, nb::arg("folder"), nb::arg("log").none());
  module.def("verify", verify_folder, nb::arg("folder"), nb::arg("against"), nb::arg("threads"),
             nb::arg("progress").none(), nb::arg("log").none());
}

}  // namespace helix::python
