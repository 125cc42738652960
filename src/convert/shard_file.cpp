#include "convert/shard_file.h"

#include <algorithm>

#include "base/message.h"

namespace helix {
namespace {

const std::map<std::string, std::string> kMetadata = {{"format", "pt"}};
constexpr std::uint64_t kAlignment = 8;

TensorEntry entry_after(const OutputTensor& tensor, std::uint64_t begin) {
  const std::uint64_t bytes = element_count(tensor.view.shape) * dtype_bytes(tensor.view.dtype);
  return {tensor.name, tensor.view.dtype, tensor.view.shape, begin, begin + bytes};
}

// Larger elements first: each tensor then begins at a multiple of its element size.
void order_by_element(std::vector<OutputTensor>& tensors) {
  std::stable_sort(tensors.begin(), tensors.end(),
                   [](const OutputTensor& a, const OutputTensor& b) {
                     return dtype_bytes(a.view.dtype) > dtype_bytes(b.view.dtype);
                   });
}

}  // namespace

ShardFile::ShardFile(const std::filesystem::path& path, std::vector<OutputTensor> early,
                     const std::vector<OutputTensor>& longest_late, bool keep)
    : file_(path, keep ? OutputFile::Mode::kKeep : OutputFile::Mode::kTruncate) {
  order_by_element(early);
  std::uint64_t end = 0;
  for (const OutputTensor& tensor : early) append(tensor, end);
  const std::uint64_t early_bytes = end;
  std::vector<TensorEntry> longest = entries_;
  for (const OutputTensor& tensor : longest_late) {
    longest.push_back(entry_after(tensor, end));
    end = longest.back().end;
  }
  // The late tensors begin aligned; the early ones are index matrices, whose elements are bytes or
  // read as such.
  const std::uint64_t header_bytes = make_safetensors_header(longest, kMetadata).size();
  data_begin_ =
      header_bytes + (kAlignment - (header_bytes + early_bytes) % kAlignment) % kAlignment;
}

void ShardFile::append(const OutputTensor& tensor, std::uint64_t& end) {
  entries_.push_back(entry_after(tensor, end));
  end = entries_.back().end;
}

std::uint64_t ShardFile::early_offset(std::size_t index) const {
  return data_begin_ + entries_[index].begin;
}

std::uint64_t ShardFile::early_bytes(std::size_t index) const {
  return entries_[index].end - entries_[index].begin;
}

void ShardFile::write_early(std::size_t index, std::span<const std::byte> bytes) {
  if (bytes.size() != early_bytes(index)) {
    throw_error(ErrorCode::kInternal, entries_[index].name, ": ", bytes.size(),
                " bytes to write, planned ", early_bytes(index));
  }
  file_.write_at(early_offset(index), bytes);
  file_.start_flush(early_offset(index), bytes.size());
}

void ShardFile::finish(std::vector<OutputTensor> late, const Hooks& hooks) {
  constexpr std::size_t kChunkBytes = std::size_t{8} << 20;
  order_by_element(late);
  std::uint64_t end = entries_.empty() ? 0 : entries_.back().end;
  for (const OutputTensor& tensor : late) {
    append(tensor, end);
    std::uint64_t offset = data_begin_ + entries_.back().begin;
    for (auto rest = tensor.view.data; !rest.empty();) {
      hooks.check_cancelled();
      const auto chunk = rest.first(std::min(rest.size(), kChunkBytes));
      file_.write_at(offset, chunk);
      file_.start_flush(offset, chunk.size());
      offset += chunk.size();
      rest = rest.subspan(chunk.size());
    }
  }
  const std::string header = make_safetensors_header(entries_, kMetadata, data_begin_);
  if (header.size() != data_begin_) {
    throw_error(ErrorCode::kInternal, file_.path().string(), ": header of ", header.size(),
                " bytes, planned ", data_begin_);
  }
  file_.write_at(0, std::as_bytes(std::span(header)));
  file_.truncate(data_begin_ + end);
}

void ShardFile::sync() {
  file_.sync();
  file_.close();
}

}  // namespace helix
