#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "helix/codec.h"
#include "helix/compressed_tensor.h"

namespace helix {

// What a run knows of one finished module: everything but the index bytes, which lie in the
// unfinished shard and are checked by their hash before they are trusted.
struct JournalRecord {
  std::string name;
  CompressedTensor tensor;  // `indices` is empty
  std::uint64_t index_hash = 0;
  Metrics metrics;
};

// Whether the file begins as a journal does.
bool is_journal(const std::filesystem::path& path);

// An append-only file of finished modules. A torn or damaged record ends the readable part; what
// follows it is dropped. Layout: records of u64 payload length, u64 XXH3 of the payload, payload;
// the first payload is the fingerprint of the run (source, options, version), the others are
// JournalRecords.
class Journal {
 public:
  // Opens `path` for a run with `fingerprint`. With `resume`, records of an earlier run with the
  // same fingerprint are kept (see `finished`). Throws Error(kInvalidArgument) where the earlier
  // run had another fingerprint.
  Journal(const std::filesystem::path& path, const std::string& fingerprint, bool resume);

  const std::map<std::string, JournalRecord>& finished() const { return finished_; }
  // One caller at a time.
  void append(const JournalRecord& record);

 private:
  void read_records(const std::string& content, const std::string& fingerprint);
  void append_payload(const std::string& payload);

  OutputFile file_;
  std::map<std::string, JournalRecord> finished_;
  std::uint64_t size_ = 0;  // of the part that is kept
};

}  // namespace helix
