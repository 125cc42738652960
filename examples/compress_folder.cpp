// Compresses a model folder, checks the result against the source and says what the codes lost.
//
//   compress_folder SOURCE DESTINATION

#include <cstdio>
#include <string>

#include "helix/helix.h"

int main(int argc, char** argv) try {
  if (argc != 3) {
    std::fprintf(stderr, "usage: compress_folder SOURCE DESTINATION\n");
    return 2;
  }
  helix::CompressOptions options;
  options.force = true;
  options.hooks.log = [](helix::LogLevel, std::string_view message) {
    std::fprintf(stderr, "%s\n", std::string(message).c_str());
  };
  helix::compress(argv[1], argv[2], options);

  const helix::VerifyReport report = helix::verify(argv[2], {.against = argv[1]});
  for (const helix::VerifyProblem& problem : report.problems) {
    std::printf("%s: %s\n", helix::finding_name(problem.finding), problem.message.c_str());
  }
  std::printf("%zu matrices, %.3f bits per weight, SNR %.2f dB, %zu problems\n",
              static_cast<std::size_t>(report.module_count), report.totals.bits_per_weight(),
              report.totals.snr_db(), report.problems.size());
  return report.problems.empty() ? 0 : 1;
} catch (const helix::Error& error) {
  std::fprintf(stderr, "%s: %s\n", helix::error_code_name(error.code()), error.what());
  return 1;
}
