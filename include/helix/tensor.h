#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace helix {

// Element types of the safetensors format. Floats are IEEE binary64/32/16, bfloat16 and the two OCP
// FP8 types.
enum class DType : std::uint8_t {
  kBool,
  kU8,
  kI8,
  kF8E5M2,
  kF8E4M3,
  kU16,
  kI16,
  kF16,
  kBF16,
  kU32,
  kI32,
  kF32,
  kU64,
  kI64,
  kF64
};

std::size_t dtype_bytes(DType dtype) noexcept;
// The name in a safetensors header: "F32", "BF16", "I64", ...
std::string_view dtype_name(DType dtype) noexcept;
bool dtype_is_float(DType dtype) noexcept;
// False where `name` is no known type.
bool parse_dtype(std::string_view name, DType& dtype) noexcept;

// Row-major extents; {} is a scalar.
using Shape = std::vector<std::uint64_t>;

// "[576, 1536]"
std::string shape_text(const Shape& shape);
// Product of the extents; throws Error(kCorruptData) where it does not fit in 64 bits.
std::uint64_t element_count(const Shape& shape);

// A borrowed, row-major, little-endian array. `data` need not be aligned to the element size;
// whoever made the view keeps the memory alive.
struct TensorView {
  DType dtype = DType::kF32;
  Shape shape;
  std::span<const std::byte> data;  // element_count(shape) * dtype_bytes(dtype)
};

// Same type, shape and bytes.
bool same_tensor(const TensorView& a, const TensorView& b) noexcept;

// Exact conversions of one element; to_* round to nearest even, overflow becomes infinity, NaN
// stays NaN.
float bf16_to_float(std::uint16_t bits) noexcept;
float f16_to_float(std::uint16_t bits) noexcept;
std::uint16_t float_to_bf16(float value) noexcept;
std::uint16_t float_to_f16(float value) noexcept;

// Elements [begin, begin + out.size()) of an F32, F16, BF16 or F64 view as float (F64 is rounded).
// Throws Error(kUnsupported) for another dtype; that the range lies within the view is not checked.
// `view.data` may be unaligned.
void read_floats(const TensorView& view, std::uint64_t begin, std::span<float> out);
// The inverse: `values` as F32, F16 or BF16 into `out`, which holds values.size() *
// dtype_bytes(dtype) bytes.
void write_floats(std::span<const float> values, DType dtype, std::span<std::byte> out);

}  // namespace helix
