#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "helix/progress.h"
#include "safetensors/safetensors_file.h"

namespace helix {

// A tensor to be written: its header fields and, from `view.data`, its bytes (borrowed).
struct OutputTensor {
  std::string name;
  TensorView view;
};

// One safetensors file whose large parts are written while the sizes of the small ones are still
// unknown:
//
//   header, padded with spaces to the room for its longest form
//   "early" tensors, of known size, in any order of time (index matrices)
//   "late" tensors, ordered by element size so that each is aligned (codebooks, sidecars, exact
//   tensors)
//
// Nothing is written over a finished file: the object works on the path it is given, its owner
// publishes it.
class ShardFile {
 public:
  // `early` have empty data; `longest_late` is the largest set of late tensors that can come (data
  // ignored). `keep` continues a file that an earlier run with the same arguments has begun.
  ShardFile(const std::filesystem::path& path, std::vector<OutputTensor> early,
            const std::vector<OutputTensor>& longest_late, bool keep);

  // Where early tensor `index` lies in the file.
  std::uint64_t early_offset(std::size_t index) const;
  std::uint64_t early_bytes(std::size_t index) const;
  // May be called from several threads, for different tensors.
  void write_early(std::size_t index, std::span<const std::byte> bytes);
  // Writes late tensors and header. Looks at `hooks.cancel` on the way.
  void finish(std::vector<OutputTensor> late, const Hooks& hooks);
  // Flushes to disk and closes; may run while other threads read the file.
  void sync();

  const std::filesystem::path& path() const { return file_.path(); }
  std::uint64_t data_bytes() const { return entries_.empty() ? 0 : entries_.back().end; }
  const std::vector<TensorEntry>& entries() const { return entries_; }

 private:
  void append(const OutputTensor& tensor, std::uint64_t& end);

  OutputFile file_;
  std::vector<TensorEntry> entries_;  // the early ones, then all
  std::uint64_t data_begin_ = 0;
};

}  // namespace helix
