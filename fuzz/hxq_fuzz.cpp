// One compressed module, made of the input's bytes, on disk, through Checkpoint and load_module:
// accepted or refused as a plain reader does, and decoded to the same bits.
//
// Layout of an input, one byte each (make_seeds.py writes it):
//   method and model type, flags, rows and columns that config.json states
//   then tensors: part, dtype, rank, extents, and their bytes (zeros where the input ends)

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/message.h"
#include "base/testing/temporary_folder.h"
#include "checkpoint/checkpoint.h"
#include "fuzz/plain_reader.h"
#include "fuzz/require.h"

namespace helix {
namespace {

using fuzz::PlainMatrix;
using fuzz::PlainTensor;
using fuzz::require;

constexpr std::array kParts = {
    "codebook", "indices", "sidecar_positions", "sidecar_indices", "sidecar_values", "svd_U",
    "svd_s",    "svd_Vt",  "channel_scales",    "weight",          "codebook_f16",   "bias"};
constexpr std::array kDTypes = {"F32", "U8",   "I64", "U16", "I16",  "I32",
                                "F16", "BF16", "F64", "I8",  "BOOL", "U32"};
constexpr std::array kMethods = {"hxq", "cdna_v3", "helix"};
constexpr std::array kModelTypes = {"llama", "bert"};
constexpr std::uint64_t kMaxBytes = 8192;  // of one tensor
constexpr const char* kModule = "model.layers.0.mlp.up_proj";

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  bool at_end() const { return size_ == 0; }
  std::uint8_t next() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
};

struct Model {
  std::string config;
  std::optional<std::pair<std::uint64_t, std::uint64_t>> shape;  // that config.json tells
  std::map<std::string, PlainTensor> parts;
};

std::string make_config(Input& input, Model& model) {
  const unsigned choice = input.next();
  const unsigned flags = input.next();
  const std::uint64_t rows = input.next();
  const std::uint64_t columns = input.next();
  const std::string model_type = kModelTypes[choice / 3 % kModelTypes.size()];
  Json config = {{"model_type", model_type}};
  Json quantization = {{"quant_method", kMethods[choice % kMethods.size()]}};
  if ((flags & 1U) != 0) quantization["compressed_modules"] = {kModule};
  if ((flags & 2U) != 0) quantization["module_shapes"] = {{kModule, {rows, columns}}};
  if ((flags & 4U) != 0) config["intermediate_size"] = rows;
  if ((flags & 8U) != 0) config["hidden_size"] = columns;
  const bool from_sizes = model_type == "llama" && (flags & 12U) == 12U && rows * columns != 0;
  if (from_sizes || (flags & 2U) != 0) model.shape = std::pair{rows, columns};
  config["quantization_config"] = quantization;
  return config.dump();
}

void read_tensor(Input& input, Model& model) {
  const std::string part = kParts[input.next() % kParts.size()];
  PlainTensor tensor;
  tensor.dtype = kDTypes[input.next() % kDTypes.size()];
  const unsigned rank = input.next() % 4U;
  DType dtype{};
  require(parse_dtype(tensor.dtype, dtype), "a dtype of the fuzzer");
  std::uint64_t bytes = dtype_bytes(dtype);
  for (unsigned i = 0; i < rank; ++i) {
    std::uint64_t extent = input.next();
    if (bytes * extent > kMaxBytes) extent = kMaxBytes / bytes;
    tensor.shape.push_back(extent);
    bytes *= extent;
  }
  tensor.data.resize(bytes);
  for (std::uint8_t& byte : tensor.data) byte = input.next();
  model.parts.emplace(part, tensor);
}

Model read_model(Input input) {
  Model model;
  model.config = make_config(input, model);
  while (!input.at_end() && model.parts.size() < kParts.size()) read_tensor(input, model);
  return model;
}

void write(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

void write_folder(const std::filesystem::path& folder, const Model& model) {
  std::vector<TensorEntry> entries;
  std::string data;
  for (const auto& [part, tensor] : model.parts) {
    TensorEntry entry{concat(kModule, ".", part), DType::kF32, tensor.shape, data.size(), 0};
    require(parse_dtype(tensor.dtype, entry.dtype), "a dtype of the fuzzer");
    data.append(reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size());
    entry.end = data.size();
    entries.push_back(std::move(entry));
  }
  write(folder / "config.json", model.config);
  write(folder / "model.safetensors", make_safetensors_header(entries, {}) + data);
}

// Packed indices: an exact 2-D weight tells the shape where the list does not.
std::optional<std::pair<std::uint64_t, std::uint64_t>> plain_shape(const Model& model) {
  if (model.config.find("module_shapes") != std::string::npos) return model.shape;
  const auto weight = model.parts.find("weight");
  if (weight != model.parts.end() && !weight->second.data.empty() &&
      weight->second.shape.size() == 2) {
    return std::pair{weight->second.shape[0], weight->second.shape[1]};
  }
  return model.shape;
}

bool same(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) ||
         (std::isnan(a) && std::isnan(b));
}

void compare_stored(const PlainMatrix& plain, const std::vector<float>& stored) {
  for (std::size_t i = 0; i < stored.size(); ++i) {
    if (plain.low_rank.empty()) {
      require(same(stored[i], plain.stored[i]), "another weight than the plain reader's");
      continue;
    }
    const double sum = plain.stored[i] + plain.low_rank[i];
    const double size = std::abs(double{plain.stored[i]}) + plain.size[i];
    if (size > 1e38) continue;  // near the end of F32, where the last bit decides about infinity
    require(std::abs(stored[i] - sum) <= 1e-6 * std::abs(sum) + 1e-13 * size + 1e-44,
            "another sum than the plain reader's");
  }
}

void compare(const CompressedTensor& tensor, const PlainMatrix& plain) {
  require(tensor.rows == plain.rows && tensor.columns == plain.columns, "another shape");
  std::vector<float> stored(plain.stored.size());
  decode_stored_rows(tensor, 0, stored);
  compare_stored(plain, stored);
  std::vector<float> weights(stored.size());
  decode_rows(tensor, 0, weights);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const float scaled =
        plain.scales.empty() ? stored[i] : stored[i] / plain.scales[i % plain.columns];
    require(same(weights[i], scaled), "another quotient");
  }
  if (weights.empty()) return;
  const std::uint64_t middle = plain.rows / 2;
  std::vector<float> row(plain.columns);
  decode_rows(tensor, middle, row);
  for (std::size_t i = 0; i < row.size(); ++i) {
    require(same(row[i], weights[middle * plain.columns + i]), "one row alone differs");
  }
}

void check(const std::filesystem::path& folder, const Model& model) {
  const auto plain = read_plainly(model.parts, plain_shape(model));
  try {
    const Checkpoint checkpoint(folder);
    require(checkpoint.is_compressed(), "an HXQ method is not known");
    require(checkpoint.expected_key_count() == model.parts.size(), "keys do not add up");
    if (checkpoint.modules().empty()) return;
    const CompressedTensor tensor = checkpoint.load_module(kModule);
    require(plain.has_value(), "accepted, though a rule is broken");
    compare(tensor, *plain);
  } catch (const Error& error) {
    require(!plain.has_value(), error.what());
    require(error.code() == ErrorCode::kCorruptData || error.code() == ErrorCode::kUnsupported,
            "another code");
  }
}

}  // namespace
}  // namespace helix

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const helix::testing::TemporaryFolder folder;
  const helix::Model model = helix::read_model(helix::Input(data, size));
  helix::write_folder(folder.path(), model);
  helix::check(folder.path(), model);
  return 0;
}
