#include "checkpoint/quantization_config.h"

#include "base/message.h"

namespace helix {
namespace {

bool is_hxq(std::string_view method) {
  return method == "hxq" || method == "cdna_v3" || method == "helix";
}

std::vector<std::string> read_module_list(const Json& quantization, std::string_view file) {
  std::vector<std::string> modules;
  const auto list = quantization.find("compressed_modules");
  if (list == quantization.end() || list->is_null()) return modules;
  if (!list->is_array()) {
    throw_error(ErrorCode::kCorruptData, file, ": compressed_modules is not a list");
  }
  for (const Json& name : *list) {
    if (!name.is_string()) {
      throw_error(ErrorCode::kCorruptData, file, ": compressed_modules holds ", name.dump(),
                  ", expected a name");
    }
    modules.push_back(name.get<std::string>());
  }
  return modules;
}

}  // namespace

Json parse_config(std::string_view text, std::string_view file) {
  Json config = parse_python_json(text, file);
  if (!config.is_object()) {
    throw_error(ErrorCode::kCorruptData, file, ": expected a JSON object");
  }
  return config;
}

QuantizationConfig read_quantization_config(const Json& config, std::string_view file) {
  QuantizationConfig result;
  const auto found = config.find("quantization_config");
  if (found == config.end() || found->is_null()) return result;
  if (!found->is_object()) {
    throw_error(ErrorCode::kCorruptData, file, ": quantization_config is not an object");
  }
  const auto method = found->find("quant_method");
  if (method == found->end() || !method->is_string()) {
    throw_error(ErrorCode::kCorruptData, file, ": quantization_config has no quant_method");
  }
  const auto& name = method->get_ref<const std::string&>();
  result.compressed = is_hxq(name);
  if (result.compressed) {
    result.compressed_modules = read_module_list(*found, file);
  } else {
    result.foreign_method = name;
  }
  return result;
}

std::optional<std::pair<std::uint64_t, std::uint64_t>> listed_dense_shape(const Json& config,
                                                                          std::string_view module,
                                                                          std::string_view file) {
  const auto quantization = config.find("quantization_config");
  if (quantization == config.end() || !quantization->is_object()) return std::nullopt;
  const auto shapes = quantization->find("module_shapes");
  if (shapes == quantization->end() || !shapes->is_object()) return std::nullopt;
  const auto shape = shapes->find(std::string(module));
  if (shape == shapes->end()) return std::nullopt;
  if (!shape->is_array() || shape->size() != 2 || !(*shape)[0].is_number_unsigned() ||
      !(*shape)[1].is_number_unsigned()) {
    throw_error(ErrorCode::kCorruptData, file, ": module_shapes of ", module, " is ", shape->dump(),
                ", expected [out, in]");
  }
  return std::pair{(*shape)[0].get<std::uint64_t>(), (*shape)[1].get<std::uint64_t>()};
}

}  // namespace helix
