#pragma once

#include <gtest/gtest.h>

#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/testing/temporary_folder.h"
#include "safetensors/safetensors_file.h"

namespace helix::testing {

// A small dense model folder for tests of this floor: random-looking F32 weights unless `dtype`
// says otherwise.
struct ModelTensor {
  std::string name;
  Shape shape;
  DType dtype = DType::kF32;
  float scale = 1.0F;  // equal names aside, tensors of the same shape and scale have equal values
};

inline std::vector<std::byte> model_bytes(const ModelTensor& tensor) {
  const std::uint64_t count = element_count(tensor.shape);
  std::vector<float> values(count);
  std::uint32_t state = 12345;
  for (float& value : values) {
    state = state * 1664525U + 1013904223U;
    value = tensor.scale * (static_cast<float>(state >> 8) * 0x1p-24F - 0.5F);
  }
  std::vector<std::byte> bytes(count * dtype_bytes(tensor.dtype));
  const bool weights =
      tensor.dtype == DType::kF32 || tensor.dtype == DType::kF16 || tensor.dtype == DType::kBF16;
  if (weights) write_floats(values, tensor.dtype, bytes);
  return bytes;
}

inline void write_model(const std::filesystem::path& folder,
                        const std::vector<ModelTensor>& tensors, const std::string& config = "{}") {
  std::filesystem::create_directories(folder);
  write_file_atomically(folder / "config.json", config);
  std::vector<TensorEntry> entries;
  std::string data;
  for (const ModelTensor& tensor : tensors) {
    const std::vector<std::byte> bytes = model_bytes(tensor);
    entries.push_back(
        {tensor.name, tensor.dtype, tensor.shape, data.size(), data.size() + bytes.size()});
    data.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  const std::string header = make_safetensors_header(entries, {{"format", "pt"}});
  write_file_atomically(folder / "model.safetensors", header + data);
}

}  // namespace helix::testing
