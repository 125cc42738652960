// AVX2, FMA and F16C.

#include "kernels/cpu/cpu_tables.h"

#if defined(__x86_64__)
#include <immintrin.h>

namespace helix {
namespace avx2 {
namespace {

constexpr int kLanes = 8;
constexpr int kTileBatch = 6;
constexpr std::size_t kRowsAhead = 2048;
constexpr std::size_t kRowGroup = 4;
constexpr int kRowBatch = 16;
constexpr std::size_t kPanelGroup = 1;
constexpr int kFixedTileBatch = 6;
constexpr int kFixedTileRest = 2;

#include "kernels/cpu/lanes.inl"

static inline Vec load_half(const std::byte* from) {
  return (Vec)_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}

static inline void transpose(const float* in, std::size_t in_stride, float* out,
                             std::size_t out_stride) {
  __m256 a[8];
  __m256 b[8];
  for (std::size_t i = 0; i < 8; ++i) a[i] = _mm256_loadu_ps(in + i * in_stride);
  for (std::size_t i = 0; i < 8; i += 2) {
    b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
    b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
  }
  for (std::size_t i = 0; i < 8; i += 4) {
    a[i] = _mm256_shuffle_ps(b[i], b[i + 2], 0x44);
    a[i + 1] = _mm256_shuffle_ps(b[i], b[i + 2], 0xee);
    a[i + 2] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0x44);
    a[i + 3] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0xee);
  }
  for (std::size_t i = 0; i < 4; ++i) {
    _mm256_storeu_ps(out + i * out_stride, _mm256_permute2f128_ps(a[i], a[i + 4], 0x20));
    _mm256_storeu_ps(out + (i + 4) * out_stride, _mm256_permute2f128_ps(a[i], a[i + 4], 0x31));
  }
}

#include "kernels/cpu/everyday.inl"
#include "kernels/cpu/f32_products.inl"
// After the products, whose panels it uses.
#include "kernels/cpu/attention_block.inl"
#include "kernels/cpu/fill_table.inl"

using IntAcc = __m256i;

static inline IntAcc zero_sum() { return _mm256_setzero_si256(); }

static inline IntAcc load_pairs(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}

static inline IntAcc dot(IntAcc sum, IntAcc w, IntAcc x) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(w, x));
}

static inline Vec to_floats(IntAcc sum) { return (Vec)_mm256_cvtepi32_ps(sum); }

#include "kernels/cpu/avx2_sum_blocks.inl"
// After what it calls.
#include "kernels/cpu/fixed_products.inl"

// Where unpacking within 128-bit lanes leaves the 64 columns of two vectors of 32 indices.
constexpr std::uint8_t kColumnOrder[64] = {
    0,  1,  2,  3,  4,  5,  6,  7,  16, 17, 18, 19, 20, 21, 22, 23, 8,  9,  10, 11, 12, 13,
    14, 15, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 48, 49, 50, 51,
    52, 53, 54, 55, 40, 41, 42, 43, 44, 45, 46, 47, 56, 57, 58, 59, 60, 61, 62, 63};

#include "kernels/cpu/avx2_lookups.inl"

// Rows [begin, begin + count * kRows): `count` times kRows rows that lie `count` rows apart. Two
// streams at once keep more of the memory's latency under way than one. Of the batch `some` rows
// from `first` on, up to kBatch.
template <typename Lookup, int kRows, int kBatch>
static void fixed_rows_of(const RowTask<FixedInput>& task, std::size_t begin, std::size_t count,
                          std::size_t first, std::size_t some) {
  const Lookup lookup(task.table);
  const int batch = kBatch > 2 ? static_cast<int>(some) : kBatch;
  const FixedInput& x = task.x;
  const std::size_t apart = count * task.index_columns;
  for (std::size_t row = begin; row < begin + count; ++row) {
    const std::uint8_t* from = task.indices + row * task.index_columns;
    Vec sums[kRows][kBatch] = {};
    for (std::size_t block = 0; block < x.blocks;) {
      const float* scales = x.scales + block / kRowGroup * x.batch + first;
      IntAcc parts[kRows][kBatch];
      unroll<kRows * kBatch>([&]<int i>() { parts[i / kBatch][i % kBatch] = zero_sum(); });
      for (const std::size_t next = smaller_size(x.blocks, block + kRowGroup); block < next;
           ++block) {
        const std::size_t done = block * kFixedBlock;
        const std::int16_t* v = x.values + (block * x.batch + first) * kFixedBlock;
        __m256i w[kRows][4];
        unroll<kRows>([&]<int r>() {
          const std::uint8_t* indices = from + r * apart + done;
          prefetch_row(indices);
          decode_block(lookup, indices, task.index_columns - done, w[r]);
        });
#pragma GCC unroll 1
        for (int n = 0; n < batch; ++n, v += kFixedBlock) {
          unroll<4 * kRows>([&]<int i>() {
            constexpr int r = i % kRows;
            constexpr int part = i / kRows;
            parts[r][n] = dot(parts[r][n], w[r][part], load_pairs(v + 16 * part));
          });
        }
      }
      for (int n = 0; n < batch; ++n) {
        unroll<kRows>(
            [&]<int r>() { sums[r][n] += to_floats(parts[r][n]) * broadcast(scales[n]); });
      }
    }
    for (int n = 0; n < batch; ++n) {
      for (int r = 0; r < kRows; ++r) {
        float* to = task.y + (first + n) * task.y_stride + row + r * count;
        const float product = sum_lanes(sums[r][n]) * task.table.scale;
        *to = task.accumulate ? *to + product : product;
      }
    }
  }
}

template <typename Lookup>
static void fixed_rows_by(const RowTask<FixedInput>& task, std::size_t begin, std::size_t end) {
  const auto multiply = [&]<int kRows, int kBatch>(std::size_t first, std::size_t some) {
    const std::size_t count = (end - begin) / kRows;
    fixed_rows_of<Lookup, kRows, kBatch>(task, begin, count, first, some);
    if (begin + count * kRows < end) {
      fixed_rows_of<Lookup, 1, kBatch>(task, end - 1, 1, first, some);
    }
  };
  for (std::size_t n = 0; n < task.x.batch;) {
    const std::size_t some = smaller_size(kRowBatch, task.x.batch - n);
    if (some > 2) {
      multiply.template operator()<2, kRowBatch>(n, some);
    } else if (some == 2) {
      multiply.template operator()<2, 2>(n, some);
    } else {
      multiply.template operator()<2, 1>(n, some);
    }
    n += some;
  }
}

// After the rows by one lookup.
#include "kernels/cpu/rows_by_form.inl"

static void fixed_panel(const FixedTable& table, const std::uint8_t* indices,
                        std::size_t index_stride, std::size_t rows, std::size_t count,
                        std::uint16_t* panel) noexcept {
  const Residuals lookup(table);
  for (std::size_t done = 0; done < count; done += kFixedBlock) {
    alignas(32) float squares[4][kLanes * kLanes];  // pairs of 16-bit values
    for (std::size_t first = 0; first < kPanelRows; first += kLanes) {
      for (std::size_t r = 0; r < kLanes; ++r) {
        __m256i w[4] = {};
        if (first + r < rows) {
          const std::uint8_t* from = indices + (first + r) * index_stride + done;
          __builtin_prefetch(from + count, 0, 2);  // of the next panel piece
          decode_block(lookup, from, count - done, w);
        }
        for (std::size_t i = 0; i < 4; ++i) store(squares[i] + r * kLanes, (Vec)w[i]);
      }
      auto* to = reinterpret_cast<float*>(panel) + done / 2 * kPanelRows + first;
      for (std::size_t i = 0; i < 4; ++i) {
        transpose(squares[i], kLanes, to + i * kLanes * kPanelRows, kPanelRows);
      }
    }
  }
}

static KernelTable make_table() {
  KernelTable table = everyday_table(Isa::kAvx2);
  table.column_order = kColumnOrder;
  table.plain_form = TableForm::kResiduals;
  table.row_forms = kShapeForms;
  table.row_form_count = 3;
  table.row_batch = kRowBatch;
  table.fixed_rows = fixed_rows<Residuals>;
  table.fixed_panel = fixed_panel;
  table.fixed_multiply = fixed_multiply;
  return table;
}

}  // namespace
}  // namespace avx2

const KernelTable& avx2_kernels() noexcept {
  static const KernelTable table = avx2::make_table();
  return table;
}

}  // namespace helix

#endif
