#include <bit>
#include <cstring>

#include "codec/row_decoder.h"
#include "helix/codec.h"

namespace helix {
namespace {

// Whether every element of `Bits` lacks the all-ones exponent that infinities and NaN have.
template <typename Bits>
bool exponents_below(std::span<const std::byte> data, Bits exponent) {
  Bits any = 0;
  for (std::size_t at = 0; at < data.size(); at += sizeof(Bits)) {
    Bits bits = 0;
    std::memcpy(&bits, data.data() + at, sizeof(Bits));
    any |= static_cast<Bits>((bits & exponent) == exponent);
  }
  return any == 0;
}

}  // namespace

std::vector<float> decode(const CompressedTensor& tensor) {
  std::vector<float> weights(tensor.rows * tensor.columns);
  RowDecoder rows(tensor);
  for (std::uint64_t row = 0; row < tensor.rows; ++row) {
    rows.next(std::span(weights).subspan(row * tensor.columns, tensor.columns));
  }
  return weights;
}

bool all_finite(const TensorView& tensor) {
  switch (tensor.dtype) {
    case DType::kF64: return exponents_below<std::uint64_t>(tensor.data, 0x7ff0000000000000U);
    case DType::kF32: return exponents_below<std::uint32_t>(tensor.data, 0x7f800000U);
    case DType::kF16: return exponents_below<std::uint16_t>(tensor.data, 0x7c00U);
    case DType::kBF16: return exponents_below<std::uint16_t>(tensor.data, 0x7f80U);
    case DType::kF8E5M2: return exponents_below<std::uint8_t>(tensor.data, 0x7cU);
    case DType::kF8E4M3: return exponents_below<std::uint8_t>(tensor.data, 0x7fU);
    default: return true;
  }
}

}  // namespace helix
