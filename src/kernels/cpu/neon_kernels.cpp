// NEON on AArch64.
//
// tbl looks 64 bytes up in four registers and gives 0 beyond them; tbx keeps what was there. Four
// of them with the index lowered by 64 each time find a byte plane of 256 entries. Smooth codebooks
// are followed by lines and shapes instead, whose tables are one register each.

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

// Of a table the values of 16 indices.
class Planes {
 public:
  explicit Planes(const FixedTable& table) : table_(table) {}

  int16x8x2_t decode(uint8x16_t from) const {
    uint8x16_t indices[4] = {from};
    for (int i = 1; i < 4; ++i) indices[i] = vsubq_u8(indices[i - 1], vdupq_n_u8(64));
    const uint8x16_t low = look_up(table_.low, indices);
    const uint8x16_t high = look_up(table_.high, indices);
    return {
        {vreinterpretq_s16_u8(vzip1q_u8(low, high)), vreinterpretq_s16_u8(vzip2q_u8(low, high))}};
  }

 private:
  const FixedTable& table_;
};

// The same of kShapes and kShapesAndEnds. Bytes of different signs have no product here: i counts
// from 0 and shapes from -128, and the bases are less by what that adds. Everything wraps around at
// 16 bits, where the values are.
template <TableForm kForm>
class Shapes {
 public:
  explicit Shapes(const FixedTable& table)
      : slope_(vld1q_u8(table.shapes[2])),
        factor_(vld1q_u8(table.shapes[3])),
        shapes_{{turned(table.shapes[4]), turned(table.shapes[5])}},
        first_(vld1q_u8(table.shapes[6])),
        last_(vld1q_u8(table.shapes[7])) {
    std::uint8_t low[16];
    std::uint8_t high[16];
    for (unsigned s = 0; s < 16; ++s) {
      const unsigned base = table.shapes[0][s] + 256U * table.shapes[1][s] -
                            (s < 8 ? 0U : 256U * table.shapes[2][s]) - 128U * table.shapes[3][s];
      low[s] = static_cast<std::uint8_t>(base);
      high[s] = static_cast<std::uint8_t>(base >> 8);
    }
    base_low_ = vld1q_u8(low);
    base_high_ = vld1q_u8(high);
  }

  int16x8x2_t decode(uint8x16_t indices) const {
    const uint8x16_t segment = vshrq_n_u8(indices, 4);
    const uint8x16_t low = vqtbl1q_u8(base_low_, segment);
    const uint8x16_t high = vqtbl1q_u8(base_high_, segment);
    const uint8x16_t slope = vqtbl1q_u8(slope_, segment);
    const uint8x16_t factor = vqtbl1q_u8(factor_, segment);
    // Index % 16, and 16 more in the upper half.
    uint8x16_t shape = vqtbl2q_u8(shapes_, vsliq_n_u8(indices, vshrq_n_u8(indices, 7), 4));
    if constexpr (kForm == TableForm::kShapesAndEnds) {
      shape = veorq_u8(shape, vqtbl1q_u8(first_, indices));
      shape = veorq_u8(shape, vqtbl1q_u8(last_, vsubq_u8(indices, vdupq_n_u8(240))));
    }
    uint16x8_t values[2] = {vreinterpretq_u16_u8(vzip1q_u8(low, high)),
                            vreinterpretq_u16_u8(vzip2q_u8(low, high))};
    values[0] = vmlal_u8(values[0], vget_low_u8(slope), vget_low_u8(indices));
    values[0] = vmlal_u8(values[0], vget_low_u8(factor), vget_low_u8(shape));
    values[1] = vmlal_high_u8(values[1], slope, indices);
    values[1] = vmlal_high_u8(values[1], factor, shape);
    return {{vreinterpretq_s16_u16(values[0]), vreinterpretq_s16_u16(values[1])}};
  }

 private:
  static uint8x16_t turned(const std::uint8_t* shape) {
    return veorq_u8(vld1q_u8(shape), vdupq_n_u8(128));
  }

  uint8x16_t base_low_;
  uint8x16_t base_high_;
  uint8x16_t slope_;
  uint8x16_t factor_;
  uint8x16x2_t shapes_;
  uint8x16_t first_;
  uint8x16_t last_;
};

static inline int32x4_t dot(int32x4_t sum, int16x8_t w, int16x8_t x) {
  sum = vmlal_s16(sum, vget_low_s16(w), vget_low_s16(x));
  return vmlal_s16(sum, vget_high_s16(w), vget_high_s16(x));
}

template <typename Lookup, int kBatch>
static void fixed_rows_of(const RowTask<FixedInput>& task, std::size_t begin, std::size_t end,
                          std::size_t first) {
  const Lookup lookup(task.table);
  const FixedInput& x = task.x;
  for (std::size_t row = begin; row < end; ++row) {
    Vec sums[kBatch] = {};
    for (std::size_t block = 0; block < x.blocks; ++block) {
      const std::size_t done = block * kFixedBlock;
      const std::uint8_t* from = task.indices + row * task.index_columns + done;
      std::uint8_t part[kFixedBlock] = {};
      if (task.index_columns - done < kFixedBlock) {
        __builtin_memcpy(part, from, task.index_columns - done);
        from = part;
      }
      int32x4_t block_sums[kBatch][2] = {};
      for (std::size_t i = 0; i < kFixedBlock; i += 16) {
        const int16x8x2_t w = lookup.decode(vld1q_u8(from + i));
        for (int n = 0; n < kBatch; ++n) {
          const std::int16_t* v = x.values + (block * x.batch + first + n) * kFixedBlock + i;
          block_sums[n][0] = dot(block_sums[n][0], w.val[0], vld1q_s16(v));
          block_sums[n][1] = dot(block_sums[n][1], w.val[1], vld1q_s16(v + 8));
        }
      }
      for (int n = 0; n < kBatch; ++n) {
        const Vec scale = broadcast(x.scales[block * x.batch + first + n]);
        const int32x4_t block_sum = vaddq_s32(block_sums[n][0], block_sums[n][1]);
        sums[n] += (Vec)vcvtq_f32_s32(block_sum) * scale;
      }
    }
    for (int n = 0; n < kBatch; ++n) {
      float* to = task.y + (first + n) * task.y_stride + row;
      const float product = sum_lanes(sums[n]) * task.table.scale;
      *to = task.accumulate ? *to + product : product;
    }
  }
}

template <typename Lookup>
static void fixed_rows_by(const RowTask<FixedInput>& task, std::size_t begin, std::size_t end) {
  std::size_t n = 0;
  for (; n + 4 <= task.x.batch; n += 4) fixed_rows_of<Lookup, 4>(task, begin, end, n);
  for (; n < task.x.batch; ++n) fixed_rows_of<Lookup, 1>(task, begin, end, n);
}

static void fixed_rows(const RowTask<FixedInput>& task, std::size_t begin,
                       std::size_t end) noexcept {
  const TableForm form = task.table.form;
  const auto rows_by = form == TableForm::kShapes ? fixed_rows_by<Shapes<TableForm::kShapes>>
                       : form == TableForm::kShapesAndEnds
                           ? fixed_rows_by<Shapes<TableForm::kShapesAndEnds>>
                           : fixed_rows_by<Planes>;
  rows_by(task, begin, end);
}

static KernelTable make_table() {
  KernelTable table = everyday_table(Isa::kNeon);
  table.column_order = kColumnOrder;
  table.row_forms = kShapeForms + 1;  // shifts would take more instructions than bases
  table.row_form_count = 2;
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
