// What every machine runs: the plain code, compiled for the architecture's baseline.

#include "kernels/cpu/cpu_tables.h"

namespace helix {
namespace scalar {
namespace {

constexpr int kLanes = 4;
constexpr int kTileBatch = 4;
constexpr std::size_t kRowsAhead = 0;
constexpr std::size_t kRowGroup = 1;
constexpr std::size_t kPanelGroup = 1;

#include "kernels/cpu/lanes.inl"

// Nothing but integer steps: infinities and NaN keep their exponent.
static inline float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16;
  const std::uint32_t magnitude = static_cast<std::uint32_t>(half & 0x7fffU) << 13;
  std::uint32_t bits = magnitude + 0x38000000U;
  if (magnitude >= 0x0f800000U) bits = magnitude | 0x7f800000U;
  float value;
  __builtin_memcpy(&value, &bits, sizeof(value));
  if (magnitude < 0x00800000U) value = static_cast<float>(half & 0x7fffU) * 0x1p-24F;
  return sign != 0 ? -value : value;
}

static inline Vec load_half(const std::byte* from) {
  float lanes[kLanes];
  for (int i = 0; i < kLanes; ++i) {
    std::uint16_t half;
    __builtin_memcpy(&half, from + 2 * i, sizeof(half));
    lanes[i] = half_to_float(half);
  }
  return load(lanes);
}

static inline void transpose(const float* in, std::size_t in_stride, float* out,
                             std::size_t out_stride) {
  for (std::size_t r = 0; r < kLanes; ++r) {
    for (std::size_t c = 0; c < kLanes; ++c) out[c * out_stride + r] = in[r * in_stride + c];
  }
}

#include "kernels/cpu/everyday.inl"
#include "kernels/cpu/f32_products.inl"
// After the products, whose panels it uses.
#include "kernels/cpu/attention_block.inl"
#include "kernels/cpu/fill_table.inl"

}  // namespace
}  // namespace scalar

const KernelTable& scalar_kernels() noexcept {
  static const KernelTable table = scalar::everyday_table(Isa::kScalar);
  return table;
}

}  // namespace helix
