#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "convert/file_hashes.h"
#include "helix/convert.h"

namespace helix {

inline constexpr std::string_view kReceiptFileName = "hxq_receipt.json";

// What a finished compression knows; make_receipt turns it into the JSON of
// docs/receipt.schema.json.
struct ReceiptFacts {
  const CompressOptions* options = nullptr;
  std::string source_name;
  std::vector<FileHash> source_files;
  std::vector<FileHash> output_files;  // weight files first
  std::uint64_t source_weight_bytes = 0;
  std::uint64_t output_weight_bytes = 0;
  std::uint64_t key_count = 0;
  const std::vector<PlanEntry>* plan = nullptr;
  const std::vector<Metrics>* metrics = nullptr;  // by plan entry; of compressed ones
  double seconds = 0.0;
  bool resumed = false;
  std::size_t thread_count = 0;
};

Json make_receipt(const ReceiptFacts& facts);

// The fields of one set of metrics, as receipts and `--json` have them. An infinite SNR (no error
// at all) is null.
Json metrics_json(const Metrics& metrics);

// The largest resident memory of this process so far, mapped files included.
std::uint64_t peak_resident_bytes();

}  // namespace helix
