#include <memory>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "helix/inspect.h"
#include "text.h"

namespace helix::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Arguments {
  std::string path;
  bool summary = false;
  CommonOptions common;
};

struct Totals {
  std::uint64_t modules = 0;
  std::uint64_t module_weights = 0;
  std::uint64_t module_bytes = 0;
  std::uint64_t exact = 0;
  std::uint64_t exact_bytes = 0;
  std::uint64_t ignored = 0;
  std::uint64_t outliers = 0;

  explicit Totals(const Inspection& inspection) {
    for (const InspectedTensor& tensor : inspection.tensors) {
      if (tensor.compressed) {
        ++modules;
        module_weights += element_count(tensor.shape);
        module_bytes += tensor.stored_bytes;
        outliers += tensor.outlier_count;
      } else if (tensor.ignored) {
        ++ignored;
      } else {
        ++exact;
        exact_bytes += tensor.stored_bytes;
      }
    }
  }
  double bits_per_weight() const {
    return module_weights == 0
               ? 0.0
               : 8.0 * static_cast<double>(module_bytes) / static_cast<double>(module_weights);
  }
};

std::string kind_text(const InspectedTensor& tensor) {
  if (tensor.overruled) return "overruled";
  return tensor.compressed ? "hxq" : tensor.ignored ? "ignored" : "exact";
}

std::string notes(const InspectedTensor& tensor) {
  std::string text;
  if (tensor.vector_size != 1) text += "d=" + std::to_string(tensor.vector_size) + " ";
  if (tensor.channel_scales) text += "scales ";
  if (tensor.svd_rank != 0) text += "svd=" + std::to_string(tensor.svd_rank) + " ";
  return text.empty() ? text : text.substr(0, text.size() - 1);
}

std::string table_text(const Inspection& inspection) {
  Table table(
      {"tensor", "kind", "shape", "stored as", "k", "outliers", "bits/weight", "bytes", "notes"},
      {false, false, false, false, true, true, true, true, false});
  for (const InspectedTensor& tensor : inspection.tensors) {
    table.add({tensor.name, kind_text(tensor), shape_text(tensor.shape),
               tensor.compressed ? tensor.indices : std::string(dtype_name(tensor.dtype)),
               tensor.compressed ? std::to_string(tensor.codebook_size) : "",
               tensor.compressed ? std::to_string(tensor.outlier_count) : "",
               fixed(tensor.bits_per_weight, 3), bytes_text(tensor.stored_bytes), notes(tensor)});
  }
  return table.text() + "\n";
}

std::string totals_text(const Inspection& inspection) {
  const Totals totals(inspection);
  std::string text = inspection.model_type.empty() ? "model" : inspection.model_type;
  text += inspection.quant_method.empty() ? ", dense" : ", " + inspection.quant_method;
  text += ": " + std::to_string(inspection.key_count) + " keys in " +
          std::to_string(inspection.file_count) +
          (inspection.file_count == 1 ? " file, " : " files, ") +
          bytes_text(inspection.file_bytes) + "\n";
  if (totals.modules > 0) {
    text += std::to_string(totals.modules) +
            " compressed matrices: " + std::to_string(totals.module_weights) + " weights in " +
            bytes_text(totals.module_bytes) + ", " + fixed(totals.bits_per_weight(), 3) +
            " bits per weight, " + std::to_string(totals.outliers) + " outliers\n";
  }
  text += std::to_string(totals.exact) + " exact tensors: " + bytes_text(totals.exact_bytes);
  if (totals.ignored > 0) text += "; " + std::to_string(totals.ignored) + " ignored keys";
  return text + "\n";
}

std::string report_json(const Inspection& inspection) {
  Json tensors = Json::array();
  for (const InspectedTensor& tensor : inspection.tensors) {
    Json row = {{"name", tensor.name},
                {"kind", kind_text(tensor)},
                {"shape", tensor.shape},
                {"stored_bytes", tensor.stored_bytes},
                {"bits_per_weight", tensor.bits_per_weight}};
    if (tensor.compressed) {
      row.update({{"k", tensor.codebook_size},
                  {"d", tensor.vector_size},
                  {"indices", tensor.indices},
                  {"outliers", tensor.outlier_count},
                  {"svd_rank", tensor.svd_rank},
                  {"channel_scales", tensor.channel_scales}});
    } else {
      row["dtype"] = dtype_name(tensor.dtype);
    }
    tensors.push_back(row);
  }
  const Totals totals(inspection);
  return json_text(Json{{"model_type", inspection.model_type},
                        {"quant_method", inspection.quant_method},
                        {"keys", inspection.key_count},
                        {"weight_files", inspection.file_count},
                        {"weight_file_bytes", inspection.file_bytes},
                        {"totals",
                         {{"compressed", totals.modules},
                          {"compressed_weights", totals.module_weights},
                          {"compressed_bytes", totals.module_bytes},
                          {"bits_per_weight", totals.bits_per_weight()},
                          {"outliers", totals.outliers},
                          {"exact", totals.exact},
                          {"exact_bytes", totals.exact_bytes},
                          {"ignored", totals.ignored}}},
                        {"tensors", tensors}});
}

void run(const Arguments& arguments) {
  Console console(arguments.common);
  const Inspection inspection = inspect(arguments.path, console.hooks());
  if (arguments.common.json) {
    print(report_json(inspection));
  } else {
    print((arguments.summary ? "" : table_text(inspection)) + totals_text(inspection));
  }
}

}  // namespace

void add_inspect(CLI::App& app, Context&) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("inspect", "Show what a checkpoint holds, tensor by tensor");
  command->footer(
      "Example:\n  helix inspect ./TinyLlama-1.1B-hxq\n  helix inspect ./TinyLlama-1.1B-hxq "
      "--json");
  command->add_option("PATH", arguments->path, "Folder of a checkpoint, HXQ or dense")->required();
  command->add_flag("--summary", arguments->summary, "Only the totals");
  command->add_flag("-q,--quiet", arguments->common.quiet,
                    "No notes; warnings and errors still show");
  command->add_flag("--json", arguments->common.json, "Print the result as JSON");
  command->callback([arguments] { run(*arguments); });
}

}  // namespace helix::cli
