#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "helix/tensor.h"

namespace helix {

// The safetensors format (https://github.com/huggingface/safetensors):
//   bytes 0..7   length n of the header, little endian
//   bytes 8..    n bytes of JSON: {"name": {"dtype", "shape", "data_offsets": [begin, end]},
//   "__metadata__": {..}},
//                perhaps followed by spaces
//   the rest     the tensors, without gap or overlap

inline constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;

struct TensorEntry {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  std::uint64_t begin = 0;  // into the data section
  std::uint64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<TensorEntry> tensors;  // ordered by begin
  std::map<std::string, std::string> metadata;
  std::uint64_t data_begin = 0;  // into the file
};

// Parses and validates a whole file's layout: sizes, types, and that the tensors cover the data
// section exactly. Throws Error(kCorruptData) naming `file` (and the tensor) for every way to break
// the format, kUnsupported for a known element type that is smaller than a byte.
SafetensorsHeader parse_safetensors(std::span<const std::byte> bytes, std::string_view file);

// The length field and the JSON, padded with spaces to `padded_bytes` (in all) where that is
// longer. `tensors` must be ordered by begin and without gaps.
std::string make_safetensors_header(std::span<const TensorEntry> tensors,
                                    const std::map<std::string, std::string>& metadata,
                                    std::uint64_t padded_bytes = 0);

// A mapped, validated file. Views stay valid as long as the object.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);
  const SafetensorsHeader& header() const { return header_; }
  TensorView view(const TensorEntry& tensor) const;
  std::span<const std::byte> bytes() const { return file_.bytes(); }
  const std::filesystem::path& path() const { return file_.path(); }

 private:
  MappedFile file_;
  SafetensorsHeader header_;
};

}  // namespace helix
