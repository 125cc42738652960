#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "exit_status.h"
#include "helix/inspect.h"
#include "text.h"
#include "validators.h"

namespace helix::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Arguments {
  std::string path;
  std::string against;
  bool table = false;
  CommonOptions common;
};

std::string report_text(const VerifyReport& report, bool table_wanted) {
  std::string text;
  if (table_wanted && !report.modules.empty()) {
    Table table({"module", "SNR dB", "bits/weight", "outliers", "largest error"},
                {false, true, true, true, true});
    for (const VerifiedModule& module : report.modules) {
      const Metrics& metrics = module.metrics;
      table.add({module.name, decibel_text(metrics.snr_db(), ""),
                 fixed(metrics.bits_per_weight(), 3), std::to_string(metrics.outlier_count),
                 fixed(metrics.max_error, 6)});
    }
    text += table.text() + "\n";
  }
  if (!report.modules.empty()) {
    text += "against the dense checkpoint: SNR " + decibel_text(report.totals.snr_db()) + ", " +
            fixed(report.totals.bits_per_weight(), 3) + " bits per weight, cosine " +
            fixed(report.totals.cosine(), 8) + "\n";
  }
  for (const VerifyProblem& problem : report.problems) {
    text += std::string(finding_name(problem.finding)) + ": " + problem.message + "\n";
  }
  text += std::to_string(report.module_count) + " compressed and " +
          std::to_string(report.exact_count) + " exact tensors checked" +
          (report.has_receipt ? "" : " (no receipt: hashes not checked)") + ": " +
          (report.problems.empty() ? "all well"
                                   : std::to_string(report.problems.size()) + " problems") +
          "\n";
  return text;
}

Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json metrics_fields(const Metrics& metrics) {
  return {{"snr_db", number_or_null(metrics.snr_db())},
          {"relative_squared_error", number_or_null(metrics.relative_squared_error())},
          {"cosine", number_or_null(metrics.cosine())},
          {"max_error", metrics.max_error},
          {"bits_per_weight", metrics.bits_per_weight()},
          {"outlier_count", metrics.outlier_count}};
}

std::string report_json(const VerifyReport& report) {
  Json problems = Json::array();
  for (const VerifyProblem& problem : report.problems) {
    problems.push_back({{"finding", finding_name(problem.finding)}, {"message", problem.message}});
  }
  Json json = {{"ok", report.problems.empty()},
               {"has_receipt", report.has_receipt},
               {"compressed", report.module_count},
               {"exact", report.exact_count},
               {"problems", problems}};
  if (!report.modules.empty()) {
    Json modules = Json::object();
    for (const VerifiedModule& module : report.modules)
      modules[module.name] = metrics_fields(module.metrics);
    json["totals"] = metrics_fields(report.totals);
    json["modules"] = modules;
  }
  return json_text(json);
}

void run(const Arguments& arguments, Context& context) {
  Console console(arguments.common);
  VerifyOptions options;
  options.against = arguments.against;
  options.thread_count = arguments.common.threads;
  options.hooks = console.hooks();
  const VerifyReport report = verify(arguments.path, options);
  if (arguments.common.json) {
    print(report_json(report));
  } else if (!arguments.common.quiet || !report.problems.empty()) {
    print(report_text(report, arguments.table));
  }
  if (!report.problems.empty()) context.status = exit_status(report.problems.front().finding);
}

}  // namespace

void add_verify(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("verify", "Check an HXQ checkpoint, and measure it against the dense one");
  command->footer(
      "Example:\n  helix verify ./TinyLlama-1.1B-hxq --against ./TinyLlama-1.1B\n\n"
      "Exit status: 0 all well, 21 a hash differs from the receipt, 22 a module breaks the "
      "format,\n"
      "23 a tensor is missing, 24 the keys do not add up, 25 metrics or exact tensors differ; the "
      "first that applies.");
  command->add_option("PATH", arguments->path, "Folder of the HXQ checkpoint")->required();
  CLI::Option* against =
      command
          ->add_option("--against", arguments->against,
                       "The dense checkpoint it was made from: re-measures every matrix")
          ->type_name("DENSE")
          ->check(not_empty());
  command->add_flag("--table", arguments->table, "With --against: a line per matrix")
      ->needs(against);
  add_common_options(*command, arguments->common);
  command->callback([arguments, &context] { run(*arguments, context); });
}

}  // namespace helix::cli
