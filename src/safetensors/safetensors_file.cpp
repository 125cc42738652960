#include "safetensors/safetensors_file.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/checked.h"
#include "base/json.h"
#include "base/message.h"

static_assert(std::endian::native == std::endian::little, "the format is little endian");

namespace helix {
namespace {

template <typename... Parts>
[[noreturn]] void corrupt(std::string_view file, const Parts&... parts) {
  throw_error(ErrorCode::kCorruptData, file, ": ", parts...);
}

DType read_dtype(const Json& fields, std::string_view file, const std::string& name) {
  const auto found = fields.find("dtype");
  if (found == fields.end() || !found->is_string()) corrupt(file, "tensor ", name, ": no dtype");
  const auto& text = found->get_ref<const std::string&>();
  DType dtype{};
  if (parse_dtype(text, dtype)) return dtype;
  if (text.starts_with("F4") || text.starts_with("F6")) {
    throw_error(ErrorCode::kUnsupported, file, ": tensor ", name, ": type ", text,
                " is smaller than a byte");
  }
  corrupt(file, "tensor ", name, ": unknown dtype \"", text, "\"");
}

std::vector<std::uint64_t> read_sizes(const Json& fields, const char* key, std::string_view file,
                                      const std::string& name) {
  const auto found = fields.find(key);
  if (found == fields.end() || !found->is_array()) corrupt(file, "tensor ", name, ": no ", key);
  std::vector<std::uint64_t> sizes;
  for (const Json& size : *found) {
    if (!size.is_number_unsigned()) {
      corrupt(file, "tensor ", name, ": ", key, " holds ", size.dump(), ", expected a size");
    }
    sizes.push_back(size.get<std::uint64_t>());
  }
  return sizes;
}

TensorEntry read_entry(const std::string& name, const Json& fields, std::string_view file) {
  if (!fields.is_object()) corrupt(file, "tensor ", name, ": expected an object in the header");
  TensorEntry entry;
  entry.name = name;
  entry.dtype = read_dtype(fields, file, name);
  entry.shape = read_sizes(fields, "shape", file, name);
  const auto offsets = read_sizes(fields, "data_offsets", file, name);
  if (offsets.size() != 2 || offsets[0] > offsets[1]) {
    corrupt(file, "tensor ", name, ": data_offsets must be [begin, end]");
  }
  entry.begin = offsets[0];
  entry.end = offsets[1];
  std::optional<std::uint64_t> bytes = dtype_bytes(entry.dtype);
  for (const std::uint64_t extent : entry.shape) {
    if (bytes) bytes = checked_multiply(*bytes, extent);
  }
  if (!bytes)
    corrupt(file, "tensor ", name, ": shape ", shape_text(entry.shape), " overflows 64 bits");
  if (*bytes != entry.end - entry.begin) {
    corrupt(file, "tensor ", name, ": ", dtype_name(entry.dtype), " ", shape_text(entry.shape),
            " takes ", *bytes, " bytes, its offsets give ", entry.end - entry.begin);
  }
  return entry;
}

std::map<std::string, std::string> read_metadata(const Json& fields, std::string_view file) {
  if (!fields.is_object()) corrupt(file, "__metadata__ must be an object of strings");
  std::map<std::string, std::string> metadata;
  for (const auto& [key, value] : fields.items()) {
    if (!value.is_string())
      corrupt(file, "__metadata__ must be an object of strings, \"", key, "\" is none");
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

// The tensors must lie one after the other and fill the data section.
void check_coverage(const SafetensorsHeader& header, std::uint64_t data_bytes,
                    std::string_view file) {
  std::uint64_t expected = 0;
  for (const TensorEntry& tensor : header.tensors) {
    if (tensor.end > data_bytes) {
      corrupt(file, "tensor ", tensor.name, " ends at byte ", tensor.end, " of the data, but only ",
              data_bytes, " are there (truncated file?)");
    }
    if (tensor.begin != expected) {
      corrupt(
          file, "tensor ", tensor.name, " begins at byte ", tensor.begin, " of the data, expected ",
          expected,
          tensor.begin < expected ? ": it overlaps its neighbour" : ": there is a gap before it");
    }
    expected = tensor.end;
  }
  if (expected != data_bytes) {
    corrupt(file, data_bytes - expected, " bytes after the last tensor belong to none");
  }
}

}  // namespace

SafetensorsHeader parse_safetensors(std::span<const std::byte> bytes, std::string_view file) {
  std::uint64_t length = 0;
  if (bytes.size() < sizeof(length)) {
    corrupt(file, "only ", bytes.size(), " bytes, too short for a safetensors file");
  }
  std::memcpy(&length, bytes.data(), sizeof(length));
  if (length > kMaxHeaderBytes) {
    corrupt(file, "header of ", length, " bytes, at most ", kMaxHeaderBytes, " allowed");
  }
  if (length > bytes.size() - sizeof(length)) {
    corrupt(file, "header of ", length, " bytes in a file of ", bytes.size(), " (truncated file?)");
  }
  const Json root =
      parse_json({reinterpret_cast<const char*>(bytes.data()) + sizeof(length), length}, file);
  if (!root.is_object()) corrupt(file, "the header must be a JSON object");
  SafetensorsHeader header;
  header.data_begin = sizeof(length) + length;
  for (const auto& [name, fields] : root.items()) {
    if (name == "__metadata__") {
      header.metadata = read_metadata(fields, file);
    } else {
      header.tensors.push_back(read_entry(name, fields, file));
    }
  }
  std::stable_sort(header.tensors.begin(), header.tensors.end(), [](const auto& a, const auto& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  check_coverage(header, bytes.size() - header.data_begin, file);
  return header;
}

std::string make_safetensors_header(std::span<const TensorEntry> tensors,
                                    const std::map<std::string, std::string>& metadata,
                                    std::uint64_t padded_bytes) {
  Json root = Json::object();
  Json::object_t::Container& members =
      root.get_ref<Json::object_t&>();  // appends without a look-up
  if (!metadata.empty()) members.emplace_back("__metadata__", metadata);
  for (const TensorEntry& tensor : tensors) {
    members.emplace_back(tensor.name, Json{{"dtype", dtype_name(tensor.dtype)},
                                           {"shape", tensor.shape},
                                           {"data_offsets", {tensor.begin, tensor.end}}});
  }
  std::string text(sizeof(std::uint64_t), '\0');
  text += root.dump();
  if (text.size() < padded_bytes) text.resize(padded_bytes, ' ');
  const std::uint64_t length = text.size() - sizeof(std::uint64_t);
  std::memcpy(text.data(), &length, sizeof(length));
  return text;
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : file_(path), header_(parse_safetensors(file_.bytes(), path.string())) {}

TensorView SafetensorsFile::view(const TensorEntry& tensor) const {
  return {tensor.dtype, tensor.shape,
          file_.bytes().subspan(header_.data_begin + tensor.begin, tensor.end - tensor.begin)};
}

}  // namespace helix
