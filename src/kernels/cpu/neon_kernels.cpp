// NEON on AArch64.
//
// tbl looks 64 bytes up in four registers and gives 0 beyond them; tbx keeps what was there. Four
// of them with the index lowered by 64 each time find a byte plane of 256 entries.

#include "kernels/cpu/cpu_tables.h"

#if defined(__aarch64__)
#include <arm_neon.h>

namespace helix {
namespace neon {
namespace {

constexpr int kLanes = 4;
constexpr int kTileBatch = 8;
constexpr std::size_t kRowsAhead = 0;
constexpr std::size_t kRowGroup = 1;
constexpr std::size_t kPanelGroup = 1;

#include "kernels/cpu/lanes.inl"

static inline Vec load_half(const std::byte* from) {
  float16x4_t half;
  __builtin_memcpy(&half, from, sizeof(half));
  return (Vec)vcvt_f32_f16(half);
}

static inline void transpose(const float* in, std::size_t in_stride, float* out,
                             std::size_t out_stride) {
  const float32x4x2_t a = vtrnq_f32(vld1q_f32(in), vld1q_f32(in + in_stride));
  const float32x4x2_t b = vtrnq_f32(vld1q_f32(in + 2 * in_stride), vld1q_f32(in + 3 * in_stride));
  for (int i = 0; i < 2; ++i) {
    const float32x4_t low = vcombine_f32(vget_low_f32(a.val[i]), vget_low_f32(b.val[i]));
    const float32x4_t high = vcombine_f32(vget_high_f32(a.val[i]), vget_high_f32(b.val[i]));
    vst1q_f32(out + static_cast<std::size_t>(i) * out_stride, low);
    vst1q_f32(out + static_cast<std::size_t>(i + 2) * out_stride, high);
  }
}

#include "kernels/cpu/everyday.inl"
#include "kernels/cpu/f32_products.inl"
// After the products, whose panels it uses.
#include "kernels/cpu/attention_block.inl"
#include "kernels/cpu/fill_table.inl"

constexpr std::uint8_t kColumnOrder[64] = {
    0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
    22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
    44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};

static inline uint8x16x4_t load_quarter(const std::uint8_t* plane) {
  return {{vld1q_u8(plane), vld1q_u8(plane + 16), vld1q_u8(plane + 32), vld1q_u8(plane + 48)}};
}

static inline uint8x16_t look_up(const std::uint8_t* plane, const uint8x16_t* indices) {
  uint8x16_t bytes = vqtbl4q_u8(load_quarter(plane), indices[0]);
  for (int i = 1; i < 4; ++i) bytes = vqtbx4q_u8(bytes, load_quarter(plane + 64 * i), indices[i]);
  return bytes;
}

// 16 indices to 16 values.
static inline int16x8x2_t decode(const FixedTable& table, const std::uint8_t* from) {
  uint8x16_t indices[4];
  indices[0] = vld1q_u8(from);
  for (int i = 1; i < 4; ++i) indices[i] = vsubq_u8(indices[i - 1], vdupq_n_u8(64));
  const uint8x16_t low = look_up(table.low, indices);
  const uint8x16_t high = look_up(table.high, indices);
  return {{vreinterpretq_s16_u8(vzip1q_u8(low, high)), vreinterpretq_s16_u8(vzip2q_u8(low, high))}};
}

static inline int32x4_t dot(int32x4_t sum, int16x8_t w, int16x8_t x) {
  sum = vmlal_s16(sum, vget_low_s16(w), vget_low_s16(x));
  return vmlal_s16(sum, vget_high_s16(w), vget_high_s16(x));
}

template <int kBatch>
static void fixed_rows_of(const FixedTable& table, const std::uint8_t* indices,
                          std::size_t index_columns, std::size_t begin, std::size_t end,
                          const FixedInput& x, std::size_t first, bool accumulate, float* y,
                          std::size_t y_stride) {
  for (std::size_t row = begin; row < end; ++row) {
    Vec sums[kBatch] = {};
    for (std::size_t block = 0; block < x.blocks; ++block) {
      const std::size_t done = block * kFixedBlock;
      const std::uint8_t* from = indices + row * index_columns + done;
      std::uint8_t part[kFixedBlock] = {};
      if (index_columns - done < kFixedBlock) {
        __builtin_memcpy(part, from, index_columns - done);
        from = part;
      }
      int32x4_t block_sums[kBatch] = {};
      for (std::size_t i = 0; i < kFixedBlock; i += 16) {
        const int16x8x2_t w = decode(table, from + i);
        for (int n = 0; n < kBatch; ++n) {
          const std::int16_t* v = x.values + (block * x.batch + first + n) * kFixedBlock + i;
          block_sums[n] = dot(block_sums[n], w.val[0], vld1q_s16(v));
          block_sums[n] = dot(block_sums[n], w.val[1], vld1q_s16(v + 8));
        }
      }
      for (int n = 0; n < kBatch; ++n) {
        const Vec scale = broadcast(x.scales[block * x.batch + first + n]);
        sums[n] += (Vec)vcvtq_f32_s32(block_sums[n]) * scale;
      }
    }
    for (int n = 0; n < kBatch; ++n) {
      float* to = y + (first + n) * y_stride + row;
      const float product = sum_lanes(sums[n]) * table.scale;
      *to = accumulate ? *to + product : product;
    }
  }
}

static void fixed_rows(const FixedTable& table, const std::uint8_t* indices,
                       std::size_t index_columns, std::size_t begin, std::size_t end,
                       const FixedInput& x, bool accumulate, float* y,
                       std::size_t y_stride) noexcept {
  std::size_t n = 0;
  const auto advance = [&](auto rows_of, std::size_t batch) {
    for (; n + batch <= x.batch; n += batch) {
      rows_of(table, indices, index_columns, begin, end, x, n, accumulate, y, y_stride);
    }
  };
  advance(fixed_rows_of<4>, 4);
  advance(fixed_rows_of<1>, 1);
}

static KernelTable make_table() {
  KernelTable table = everyday_table(Isa::kNeon);
  table.column_order = kColumnOrder;
  table.fixed_rows = fixed_rows;
  return table;
}

}  // namespace
}  // namespace neon

const KernelTable& neon_kernels() noexcept {
  static const KernelTable table = neon::make_table();
  return table;
}

}  // namespace helix

#endif
