#include <memory>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "helix/convert.h"
#include "helix/error.h"
#include "text.h"

namespace helix::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Arguments {
  std::string source;
  std::string destination;
  std::vector<std::string> codebook_sizes;
  std::string outliers = "auto";
  std::string column_scales = "auto";
  std::string shard_size = "5GB";
  bool dry_run = false;
  CompressOptions options;
  CommonOptions common;
};

OutlierPolicy parse_outliers(const std::string& text) {
  using Kind = OutlierPolicy::Kind;
  if (text == "auto") return {Kind::kAuto, 0, 0.0};
  if (text == "none") return {Kind::kNone, 0, 0.0};
  try {
    std::size_t used = 0;
    if (text.ends_with('%')) {
      const double percent = std::stod(text, &used);
      if (used + 1 == text.size() && percent >= 0.0 && percent <= 100.0)
        return {Kind::kFraction, 0, percent / 100.0};
    } else if (text.find('-') == std::string::npos) {
      const unsigned long long count = std::stoull(text, &used);
      if (used == text.size()) return {Kind::kCount, count, 0.0};
    }
  } catch (const std::exception&) {  // no number at all: the same complaint
  }
  throw Error(ErrorCode::kInvalidArgument,
              "--outliers " + text + ": expected auto, none, a count or a percentage (0.05%)");
}

// "256", or "GLOB=K"
void parse_codebook_size(const std::string& text, CompressOptions& options) {
  const std::size_t equals = text.rfind('=');
  const std::string number = equals == std::string::npos ? text : text.substr(equals + 1);
  std::size_t used = 0;
  unsigned long size = 0;
  try {
    size = std::stoul(number, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  if (used == 0 || used != number.size() || size > 0xffffffffUL || number[0] == '-') {
    throw Error(ErrorCode::kInvalidArgument,
                "--k " + text + ": expected a number of levels, or GLOB=NUMBER");
  }
  if (equals == std::string::npos) {
    options.encode.codebook_size = static_cast<std::uint32_t>(size);
  } else {
    options.codebook_sizes.emplace_back(text.substr(0, equals), static_cast<std::uint32_t>(size));
  }
}

std::string plan_text(const std::vector<PlanEntry>& plan) {
  Table table({"tensor", "type", "shape", "bytes", "action", "reason"},
              {false, false, false, true, false, false});
  std::uint64_t counts[3] = {};
  for (const PlanEntry& entry : plan) {
    ++counts[static_cast<std::size_t>(entry.action)];
    const bool sized = entry.action == Action::kCompress && entry.encode.codebook_size != 256;
    table.add(
        {entry.name, std::string(dtype_name(entry.dtype)), shape_text(entry.shape),
         bytes_text(entry.bytes), action_name(entry.action),
         entry.reason + (sized ? ", k = " + std::to_string(entry.encode.codebook_size) : "")});
  }
  return table.text() + "\n" + std::to_string(counts[0]) + " compressed, " +
         std::to_string(counts[1]) + " exact, " + std::to_string(counts[2]) +
         " skipped. Nothing was written.\n";
}

std::string plan_json(const std::vector<PlanEntry>& plan) {
  Json list = Json::array();
  for (const PlanEntry& entry : plan) {
    Json row = {
        {"name", entry.name},   {"dtype", dtype_name(entry.dtype)},    {"shape", entry.shape},
        {"bytes", entry.bytes}, {"action", action_name(entry.action)}, {"reason", entry.reason}};
    if (entry.action == Action::kCompress) row["k"] = entry.encode.codebook_size;
    list.push_back(row);
  }
  return json_text({{"plan", list}});
}

std::string receipt_text(const Json& receipt, const std::string& destination) {
  const Json& sizes = receipt["sizes"];
  const Json& totals = receipt["totals"];
  const Json& counts = receipt["counts"];
  const auto bytes = [&](const char* key) { return bytes_text(sizes[key].get<std::uint64_t>()); };
  const auto number = [&](const Json& value, int decimals) {
    return value.is_number() ? fixed(value.get<double>(), decimals) : std::string("exact");
  };
  const std::string decibels =
      totals["snr_db"].is_number() ? decibel_text(totals["snr_db"].get<double>()) : "exact";
  const Json& max_error = totals["max_error"];
  const std::string largest =
      max_error.is_number() ? rounded(max_error.get<double>(), 3) : max_error.dump();
  std::string text;
  text += destination + "\n";
  text += "  tensors      " + counts["compressed"].dump() + " compressed, " +
          counts["exact"].dump() + " exact, " + counts["skipped"].dump() + " skipped; " +
          counts["keys"].dump() + " keys\n";
  text += "  matrices     " + bytes("source_compressed_bytes") + " -> " +
          bytes("output_compressed_bytes") + ", ratio " +
          number(receipt["ratios"]["compressed_tensors"], 3) + ", " +
          number(totals["bits_per_weight"], 3) + " bits per weight\n";
  text += "  weight files " + bytes("source_weight_file_bytes") + " -> " +
          bytes("output_weight_file_bytes") + ", ratio " +
          number(receipt["ratios"]["weight_files"], 3) + "\n";
  text += "  error        SNR " + decibels + ", largest " + largest + ", " +
          totals["outlier_count"].dump() + " outliers\n";
  text += "  run          " + number(receipt["run"]["seconds"], 2) + " s, " +
          bytes_text(
              static_cast<std::uint64_t>(receipt["run"]["source_bytes_per_second"].get<double>())) +
          "/s of input, peak memory " +
          bytes_text(receipt["run"]["peak_resident_bytes"].get<std::uint64_t>()) +
          " (mapped files included)\n";
  return text;
}

void run(Arguments& arguments, const Context& context) {
  CompressOptions& options = arguments.options;
  for (const std::string& size : arguments.codebook_sizes) parse_codebook_size(size, options);
  options.encode.outliers = parse_outliers(arguments.outliers);
  options.encode.column_scales =
      arguments.column_scales == "auto" ? ColumnScales::kAuto : ColumnScales::kNone;
  options.shard_bytes = parse_bytes(arguments.shard_size);
  options.thread_count = arguments.common.threads;
  options.command = context.command_line;
  Console console(arguments.common);
  options.hooks = console.hooks();
  if (arguments.dry_run) {
    const auto plan = plan_compression(arguments.source, options);
    print(arguments.common.json ? plan_json(plan) : plan_text(plan));
    return;
  }
  if (arguments.destination.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "DST is missing (only --dry-run does without)");
  }
  const std::string receipt = compress(arguments.source, arguments.destination, options);
  if (arguments.common.json) {
    print(receipt);
  } else if (!arguments.common.quiet) {
    print(receipt_text(Json::parse(receipt), arguments.destination));
  }
}

}  // namespace

void add_compress(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("compress", "Compress a Hugging Face checkpoint");
  command->footer(
      "Example:\n"
      "  helix compress ./TinyLlama-1.1B ./TinyLlama-1.1B-hxq\n"
      "  helix compress ./Qwen2.5-0.5B ./Qwen2.5-0.5B-hxq --k '*k_proj=4096' --embeddings\n\n"
      "The output appears complete or not at all. After an interruption, --resume continues.");
  command->add_option("SRC", arguments->source, "Folder of the dense checkpoint (safetensors)")
      ->required();
  command->add_option("DST", arguments->destination, "Folder to write");
  command->add_flag("--dry-run", arguments->dry_run,
                    "Show what would happen to each tensor, and why; write nothing");
  command
      ->add_option("--k", arguments->codebook_sizes,
                   "Codebook levels, 2 to 4096 (default 256), or GLOB=K for some tensors")
      ->type_name("K|GLOB=K")
      ->take_all();
  command
      ->add_option("--outliers", arguments->outliers,
                   "Exact outliers per matrix: auto, none, a count or a share such as 0.05%")
      ->type_name("auto|none|N|P%")
      ->capture_default_str();
  command
      ->add_option("--column-scales", arguments->column_scales,
                   "Scale columns before the fit: auto or none")
      ->check(CLI::IsMember({"auto", "none"}))
      ->capture_default_str();
  command
      ->add_option("--include", arguments->options.include,
                   "Compress tensors that match GLOB as well")
      ->type_name("GLOB")
      ->take_all();
  command->add_option("--exclude", arguments->options.exclude, "Keep tensors that match GLOB exact")
      ->type_name("GLOB")
      ->take_all();
  command->add_flag("--embeddings", arguments->options.embeddings, "Compress embedding tables too");
  command->add_flag("--lm-head", arguments->options.lm_head, "Compress an untied output head too");
  command->add_option("--shard-size", arguments->shard_size, "Largest weight file")
      ->type_name("SIZE")
      ->capture_default_str();
  command->add_flag("--copy-code", arguments->options.copy_code,
                    "Copy *.py files of the source folder too");
  command->add_flag("--strict", arguments->options.strict,
                    "Refuse non-finite weights instead of keeping their tensor exact");
  command->add_flag("--resume", arguments->options.resume, "Continue an interrupted run");
  command->add_flag("--force", arguments->options.force,
                    "Replace a model folder at DST, drop an interrupted run");
  add_common_options(*command, arguments->common);
  command->callback([arguments, &context] { run(*arguments, context); });
}

}  // namespace helix::cli
