#include "helix/tensor.h"

#include <array>
#include <bit>
#include <cstring>

#include "base/checked.h"
#include "base/message.h"

namespace helix {
namespace {

struct DTypeFacts {
  DType dtype;
  std::string_view name;
  std::size_t bytes;
  bool is_float;
};

constexpr std::array kDTypes = {
    DTypeFacts{DType::kBool, "BOOL", 1, false},     DTypeFacts{DType::kU8, "U8", 1, false},
    DTypeFacts{DType::kI8, "I8", 1, false},         DTypeFacts{DType::kF8E5M2, "F8_E5M2", 1, true},
    DTypeFacts{DType::kF8E4M3, "F8_E4M3", 1, true}, DTypeFacts{DType::kU16, "U16", 2, false},
    DTypeFacts{DType::kI16, "I16", 2, false},       DTypeFacts{DType::kF16, "F16", 2, true},
    DTypeFacts{DType::kBF16, "BF16", 2, true},      DTypeFacts{DType::kU32, "U32", 4, false},
    DTypeFacts{DType::kI32, "I32", 4, false},       DTypeFacts{DType::kF32, "F32", 4, true},
    DTypeFacts{DType::kU64, "U64", 8, false},       DTypeFacts{DType::kI64, "I64", 8, false},
    DTypeFacts{DType::kF64, "F64", 8, true},
};

template <typename Element, typename Convert>
void convert_from(std::span<const std::byte> bytes, std::span<float> out, Convert convert) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    Element element;
    std::memcpy(&element, bytes.data() + i * sizeof(Element), sizeof(Element));
    out[i] = convert(element);
  }
}

template <typename Element, typename Convert>
void convert_to(std::span<const float> values, std::span<std::byte> out, Convert convert) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Element element = convert(values[i]);
    std::memcpy(out.data() + i * sizeof(Element), &element, sizeof(Element));
  }
}

}  // namespace

std::size_t dtype_bytes(DType dtype) noexcept {
  return kDTypes[static_cast<std::size_t>(dtype)].bytes;
}

std::string_view dtype_name(DType dtype) noexcept {
  return kDTypes[static_cast<std::size_t>(dtype)].name;
}

bool dtype_is_float(DType dtype) noexcept {
  return kDTypes[static_cast<std::size_t>(dtype)].is_float;
}

bool parse_dtype(std::string_view name, DType& dtype) noexcept {
  for (const DTypeFacts& facts : kDTypes) {
    if (facts.name == name) {
      dtype = facts.dtype;
      return true;
    }
  }
  return false;
}

std::string shape_text(const Shape& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(shape[i]);
  }
  return text + "]";
}

std::uint64_t element_count(const Shape& shape) {
  std::uint64_t count = 1;
  for (const std::uint64_t extent : shape) {
    const auto product = checked_multiply(count, extent);
    if (!product) {
      throw_error(ErrorCode::kCorruptData, "shape ", shape_text(shape),
                  " has more than 2^64 elements");
    }
    count = *product;
  }
  return count;
}

bool same_tensor(const TensorView& a, const TensorView& b) noexcept {
  return a.dtype == b.dtype && a.shape == b.shape && a.data.size() == b.data.size() &&
         (a.data.empty() || std::memcmp(a.data.data(), b.data.data(), a.data.size()) == 0);
}

float bf16_to_float(std::uint16_t bits) noexcept {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

float f16_to_float(std::uint16_t bits) noexcept {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000U) << 16;
  const std::uint32_t exponent = (bits >> 10) & 31U;
  const std::uint32_t mantissa = bits & 0x3ffU;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000U | (mantissa << 13));
  if (exponent != 0)
    return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;  // zero and denormals
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
}

std::uint16_t float_to_bf16(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return static_cast<std::uint16_t>((bits >> 16) | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

std::uint16_t float_to_f16(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000U;
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude > 0x7f800000U) return static_cast<std::uint16_t>(sign | 0x7e00U);
  if (magnitude >= 0x477ff000U) return static_cast<std::uint16_t>(sign | 0x7c00U);
  if (magnitude <
      0x38800000U) {  // below 2^-14: a multiple of 2^-24, rounded by the addition itself
    const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3f000000U));
  }
  const std::uint32_t rounded = magnitude + 0xfffU + ((magnitude >> 13) & 1U);
  return static_cast<std::uint16_t>(sign | ((rounded - 0x38000000U) >> 13));
}

void read_floats(const TensorView& view, std::uint64_t begin, std::span<float> out) {
  const auto bytes = view.data.subspan(begin * dtype_bytes(view.dtype));
  switch (view.dtype) {
    case DType::kF32:
      if (!out.empty()) std::memcpy(out.data(), bytes.data(), out.size_bytes());
      return;
    case DType::kBF16:
      convert_from<std::uint16_t>(bytes, out,
                                  [](std::uint16_t bits) { return bf16_to_float(bits); });
      return;
    case DType::kF16:
      convert_from<std::uint16_t>(bytes, out,
                                  [](std::uint16_t bits) { return f16_to_float(bits); });
      return;
    case DType::kF64:
      convert_from<double>(bytes, out, [](double value) { return static_cast<float>(value); });
      return;
    default:
      throw_error(ErrorCode::kUnsupported, "weights of type ", dtype_name(view.dtype),
                  " cannot be read; expected F32, F16, BF16 or F64");
  }
}

void write_floats(std::span<const float> values, DType dtype, std::span<std::byte> out) {
  switch (dtype) {
    case DType::kF32:
      if (!values.empty()) std::memcpy(out.data(), values.data(), values.size_bytes());
      return;
    case DType::kBF16:
      convert_to<std::uint16_t>(values, out, [](float value) { return float_to_bf16(value); });
      return;
    case DType::kF16:
      convert_to<std::uint16_t>(values, out, [](float value) { return float_to_f16(value); });
      return;
    default:
      throw_error(ErrorCode::kUnsupported, "weights cannot be written as ", dtype_name(dtype),
                  "; expected F32, F16 or BF16");
  }
}

}  // namespace helix
