// A whole safetensors file: whatever is accepted obeys the format, and comes back from the writer.

#include <cstdint>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "fuzz/require.h"
#include "helix/error.h"
#include "safetensors/safetensors_file.h"

namespace helix {
namespace {

using fuzz::require;

// In 128 bits, where nothing of a small file overflows; an extent of zero makes nothing of the
// rest.
unsigned __int128 bytes_of(const TensorEntry& tensor) {
  unsigned __int128 bytes = dtype_bytes(tensor.dtype);
  for (const std::uint64_t extent : tensor.shape) {
    if (extent == 0) return 0;
    bytes *= extent;
    if (bytes >> 64 != 0) return bytes;
  }
  return bytes;
}

void check_layout(const SafetensorsHeader& header, std::uint64_t file_bytes) {
  std::set<std::string> names;
  std::uint64_t end = 0;
  for (const TensorEntry& tensor : header.tensors) {
    require(names.insert(tensor.name).second, "a name occurs twice");
    require(tensor.begin == end, "a gap or an overlap");
    require(bytes_of(tensor) == tensor.end - tensor.begin, "a shape does not fit its offsets");
    end = tensor.end;
  }
  require(header.data_begin + end == file_bytes, "bytes that belong to no tensor");
}

void check_round_trip(const SafetensorsHeader& header, std::uint64_t padded_bytes) {
  std::string again = make_safetensors_header(header.tensors, header.metadata, padded_bytes);
  const std::uint64_t data_bytes = header.tensors.empty() ? 0 : header.tensors.back().end;
  again.resize(again.size() + data_bytes);
  const SafetensorsHeader second = parse_safetensors(std::as_bytes(std::span(again)), "again");
  require(second.metadata == header.metadata, "metadata changed");
  require(second.tensors.size() == header.tensors.size(), "number of tensors changed");
  for (std::size_t i = 0; i < header.tensors.size(); ++i) {
    const TensorEntry& a = header.tensors[i];
    const TensorEntry& b = second.tensors[i];
    require(a.name == b.name && a.dtype == b.dtype && a.shape == b.shape, "a tensor changed");
    require(a.begin == b.begin && a.end == b.end, "offsets changed");
  }
}

}  // namespace
}  // namespace helix

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  helix::SafetensorsHeader header;
  try {
    header = helix::parse_safetensors(std::as_bytes(std::span(data, size)), "input");
  } catch (const helix::Error&) {
    return 0;
  }
  helix::check_layout(header, size);
  helix::check_round_trip(header, size % 512);
  return 0;
}
