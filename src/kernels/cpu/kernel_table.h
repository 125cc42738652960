#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "kernels/isa.h"

// What every instruction set provides: plain functions over raw pointers, all noexcept, none
// allocates. Every instruction set is a file of its own, compiled with its own flags inside a
// namespace of its own; such a file calls nothing inline from outside (not even std::), because the
// linker would keep one copy for all machines.
namespace helix {

// Columns of a block of the 16-bit fixed-point product; row_group or panel_group blocks of x share
// a scale.
inline constexpr std::size_t kFixedBlock = 64;
// Batch rows that the row-wise (unpacked) products take at once.
inline constexpr std::size_t kMaxRowBatch = 8;

enum class WeightType : std::uint8_t { kF32, kF16, kBF16 };

// How a kernel looks 16-bit values up: directly; as residuals or by shapes; with a high byte that
// two entries share (all below).
enum class TableForm : std::uint8_t {
  kPlain,
  kResiduals,
  kShifts,
  kShapes,
  kShapesAndEnds,
  kPairs
};

// Lines and shapes, the fewest instructions first. Not inline, so that every file has its own.
constexpr TableForm kShapeForms[] = {TableForm::kShifts, TableForm::kShapes,
                                     TableForm::kShapesAndEnds};

// One component of a codebook with at most 256 entries as 16-bit numbers. entry = scale * value.
// What byte shuffles of 16 entries can look up (AVX2) are two kinds of forms of the values, with
// numbers of their own for every segment of 16 entries.
struct FixedTable {
  alignas(64) std::uint8_t low[256];   // plane of the values' low bytes
  alignas(64) std::uint8_t high[256];  // and high bytes
  alignas(64) std::uint16_t values[256];
  // kPlain: value = byte_step * high_byte[i] + low_byte[i] with step 256. kPairs: high_byte[i / 2],
  // and a step that leaves the low bytes of two neighbours room.
  alignas(64) std::int8_t high_byte[256];
  alignas(64) std::int8_t low_byte[256];
  // kResiduals: value = 255 * base[i / 16] + multiplier[i / 16] * residual[i]. residual[i] is the
  // exclusive or of the residual_steps of the j <= i of the same quarter with j % 16 == i % 16.
  // Every segment stands there twice, because loads that double it take a port that the shuffles
  // need.
  alignas(64) std::uint8_t residual_steps[16][32];
  alignas(16) std::int8_t base[16];
  alignas(16) std::int8_t multiplier[16];
  // kShapes: value = base[i / 16] + slope[i / 16] * (i as a signed byte) + factor[i / 16] *
  // shape[i % 16] with a shape for each half of the table; the sum of the products stays within 16
  // bits, adding base wraps around. kShapesAndEnds: the first and the last segment have shapes of
  // their own. kShifts: there is no base, i is moved by shift[i / 16] instead. Here are base's low
  // bytes (or shift), its high bytes, slope, factor, the shapes (signed) of the lower and the upper
  // half, and by exclusive or what those of the ends differ by; all twice as above.
  alignas(64) std::uint8_t shapes[8][32];
  TableForm form;
  int byte_step;
  float scale;
};

// Row-major weights of any type, at any alignment.
struct WeightRows {
  const std::byte* data;
  std::size_t columns;
  WeightType type;
};

// x as 16-bit fixed point: (blocks, batch, 64) values in the table's column order and scales
// (groups of blocks, batch). Block by block, because rows of a power of two bytes would all fall
// into the same few sets of the first-level cache.
//
// What is summed in 32 bits before a scale is applied has magnitudes of at most 65,000 in all, so
// that its product with 16-bit weights fits: for rows what falls into one lane in `row_group`
// blocks, for panels `panel_group` whole blocks. Panels of two blocks have weights of 15 bits and
// sums of up to 130,000, so that x, which has the larger error, loses nothing.
enum class FixedUse : std::uint8_t { kPanel, kRows };
struct FixedInput {
  const std::int16_t* values;
  const float* scales;
  std::size_t blocks;
  std::size_t batch;
};

// The largest value that 256 * high + low with signed bytes can be.
inline constexpr int kLargestByteValue = 127 * 256 + 127;

// One row of x in bytes: value = 256 * high + low, both signed. Group by group of up to kByteGroup
// blocks with a scale each: in 16 lanes of 32 bits what its high bytes, then what its low bytes
// add up to, times -128; then of every block 64 high bytes, 64 low ones. Lane i has columns 4 i to
// 4 i + 3 of every block.
struct ByteInput {
  const std::int8_t* values;
  const float* scales;
};
inline constexpr std::size_t kByteGroup = 16;
inline constexpr std::size_t byte_input_groups(std::size_t blocks) {
  return (blocks + kByteGroup - 1) / kByteGroup;
}
inline constexpr std::size_t byte_input_size(std::size_t blocks) {
  return 2 * kFixedBlock * (blocks + byte_input_groups(blocks));
}

// y[n * y_stride + row] = scale * (the table's values of a row of indices) * x[n], added to what
// was there if `accumulate`. Borrows everything.
template <typename Input>  // FixedInput, or ByteInput for n = 0
struct RowTask {
  const FixedTable& table;
  const std::uint8_t* indices;  // rows of index_columns
  std::size_t index_columns;
  const Input& x;
  bool accumulate;
  float* y;
  std::size_t y_stride;
};

// 16-bit numbers for tiles of 8-bit ones: value = 256 * high + low, both signed. A piece is up to
// kPlaneColumns columns, a row of x has one scale for each. Sums of a piece stay below 2^24.
inline constexpr std::size_t kPlaneColumns = 256;
// One piece of x: (blocks of 16 batch rows, steps of 64 columns, 2 planes, 16, 16 rows, 4 columns)
// values and (blocks * 16) scales. Rows and columns past the end are zero.
struct PlaneInput {
  const std::int8_t* values;
  const float* scales;
  std::size_t steps;
  std::size_t blocks;
};

// sums[row] += delta * x[column], of a panel and a piece.
struct PlaneOutlier {
  std::uint32_t row;
  std::uint32_t column;
  float delta;
};
// What a product by tiles does on the way: add outliers, and ask memory for `rows` rows of
// kPlaneColumns indices, `index_stride` apart, and for bytes of x. What is asked for is not read,
// so that it may end past the data.
struct PlaneExtras {
  const PlaneOutlier* outliers = nullptr;
  std::size_t outlier_count = 0;
  const std::uint8_t* indices = nullptr;
  std::size_t index_stride = 0;
  std::size_t rows = 0;
  const std::int8_t* values = nullptr;
  std::size_t value_bytes = 0;
};

struct TileRows {
  float* data;
  std::size_t stride;  // floats from row to row
};

// Attention of `rows` queries to positions [position_begin, position_end) of one key head. maxima
// and totals are what the softmax of a row was made of: its largest scaled score and the sum of
// exp(score - maximum), by which parts of the positions are merged. A row that sees none of them
// has total 0 and any output. All three results have room for kAttentionRows rows.
struct AttentionTask {
  const float* queries;
  const std::size_t* query_offset;  // of row i's head_dim numbers
  float* out;
  const std::size_t* out_offset;
  float* maxima;
  float* totals;
  const std::size_t* row_position;  // last position row i may see
  std::size_t rows;                 // at most kAttentionRows
  const std::byte* keys;            // (positions, head_dim)
  const std::byte* values;
  WeightType type;
  std::size_t head_dim;
  std::size_t position_begin;  // first position any row may see
  std::size_t position_end;
  std::size_t window;  // row i sees the positions above row_position[i] - window; 0: all
  float scale;
  float* scratch;  // attention_scratch(head_dim) floats, aligned to 64 bytes
};
inline constexpr std::size_t kAttentionRows = 64;
inline constexpr std::size_t kAttentionTile = 64;

struct KernelTable {
  Isa isa;

  // F32 products. y[n * y_stride + row] for rows [begin, end); batch <= kMaxRowBatch.
  void (*f32_rows)(const WeightRows& weights, std::size_t begin, std::size_t end, const float* x,
                   std::size_t batch, float* y, std::size_t y_stride) noexcept;
  // Rows of a panel. A panel is (steps, panel_rows) of F32, or (steps, panel_rows, 2) of 16-bit
  // numbers with two columns per step.
  std::size_t panel_rows;
  // Columns [begin, begin + count) of `rows` <= panel_rows rows; the other rows become zero. count
  // may be padded: out has steps for round_up(count, 16).
  void (*f32_panel)(const WeightRows& weights, std::size_t row, std::size_t rows, std::size_t begin,
                    std::size_t count, float* panel) noexcept;
  // tile (batch, panel_rows) += x (batch, steps) * panel.
  void (*f32_multiply)(const float* panel, std::size_t steps, const float* x, std::size_t x_stride,
                       std::size_t batch, float* tile) noexcept;
  // out[i] = table[indices[i]].
  void (*lookup_u8)(const float* table, const std::uint8_t* indices, std::size_t count,
                    float* out) noexcept;
  void (*lookup_u16)(const float* table, const std::uint16_t* indices, std::size_t count,
                     float* out) noexcept;

  // F32 products straight from codes, null where this instruction set has none. halves[0] has the
  // low, halves[1] the high 16 bits of the codebook's F32 values. x (batch, columns padded to 64)
  // as order_columns leaves it; batch <= kMaxRowBatch.
  void (*lookup_rows)(const FixedTable* halves, const std::uint8_t* indices,
                      std::size_t index_columns, std::size_t begin, std::size_t end, const float* x,
                      std::size_t batch, float* y, std::size_t y_stride) noexcept;
  void (*order_columns)(const float* x, std::size_t columns, float* ordered) noexcept;

  // 16-bit fixed point, null where this instruction set has none.
  const std::uint8_t* column_order;  // (64): the column at each position of a block
  TableForm plain_form;              // that fixed_rows and fixed_panel take of any codebook,
  const TableForm* row_forms;        // and fixed_rows of some, the best first
  std::size_t row_form_count;
  std::size_t row_batch;    // up to which fixed_rows is faster than panels
  std::size_t row_group;    // blocks that share a scale of x in fixed_rows,
  std::size_t panel_group;  // and in fixed_multiply
  // x (columns) times inverse_scales (or null), every `vector_size`-th column from x on. Blocks of
  // values are `value_stride` apart, scales `scale_stride`.
  void (*quantize)(const float* x, const float* inverse_scales, std::size_t index_columns,
                   std::size_t vector_size, const std::uint8_t* column_order, FixedUse use,
                   std::int16_t* values, std::size_t value_stride, float* scales,
                   std::size_t scale_stride) noexcept;
  // The task's rows [begin, end).
  void (*fixed_rows)(const RowTask<FixedInput>& task, std::size_t begin, std::size_t end) noexcept;
  // The same for one row of x in bytes, null where this instruction set does it no better; x
  // (columns) as quantize takes it.
  void (*byte_input)(const float* x, const float* inverse_scales, std::size_t index_columns,
                     std::size_t vector_size, std::int8_t* values, float* scales) noexcept;
  void (*byte_rows)(const RowTask<ByteInput>& task, std::size_t begin, std::size_t end) noexcept;
  // `count` columns of `rows` <= panel_rows rows, `index_stride` apart, as a panel; count is padded
  // to 64, and the other rows become any valid value.
  void (*fixed_panel)(const FixedTable& table, const std::uint8_t* indices,
                      std::size_t index_stride, std::size_t rows, std::size_t count,
                      std::uint16_t* panel) noexcept;
  // scale * x * panel for the blocks that x has and the first `batch` of its rows, plus what `tile`
  // held if `accumulate`, goes to `out`, which may be `tile`; otherwise tile's contents are lost.
  // Both (batch, panel_rows), rows `stride` apart.
  void (*fixed_multiply)(const std::uint16_t* panel, const FixedInput& x, std::size_t batch,
                         float scale, bool accumulate, TileRows tile, TileRows out) noexcept;

  // BF16 products, null where this instruction set has none. Columns are padded to 32.
  void (*bf16_panel)(const std::byte* weights, std::size_t columns, std::size_t row,
                     std::size_t rows, std::uint16_t* panel) noexcept;
  // tile (batch, panel_rows) += x * panel. x (steps / 16, batch_stride, 32), steps a multiple of
  // 16; x and tile have room for a multiple of 32 batch rows.
  void (*bf16_multiply)(const std::uint16_t* panel, std::size_t steps, const std::uint16_t* x,
                        std::size_t batch_stride, std::size_t batch, float* tile) noexcept;

  // Byte tiles, null where this instruction set has none; panels of 32 rows, pieces of `count` <=
  // kPlaneColumns columns. One block of PlaneInput from `rows` <= 16 rows of x, `x_stride` apart:
  // every `vector_size`-th column from x on, times inverse_scales (or null).
  void (*plane_input)(const float* x, std::size_t x_stride, std::size_t rows,
                      const float* inverse_scales, std::size_t count, std::size_t vector_size,
                      std::int8_t* values, float* scales) noexcept;
  // `rows` rows of indices, `index_stride` apart, as (steps, 2 halves of 16 rows, 2 planes, 16
  // rows, 64 columns); the other rows and columns become any valid value.
  void (*plane_panel)(const FixedTable& table, const std::uint8_t* indices,
                      std::size_t index_stride, std::size_t rows, std::size_t count,
                      std::int8_t* panel) noexcept;
  // sums (blocks of x, 32, 16 batch rows) (+)= scale * panel * x, += outliers * x.
  void (*plane_multiply)(const std::int8_t* panel, const PlaneInput& x, float scale,
                         bool accumulate, float* sums, const PlaneExtras& extras) noexcept;
  // y (batch <= 16, rows <= 32) = one block of sums.
  void (*plane_store)(const float* sums, std::size_t rows, std::size_t batch, float* y,
                      std::size_t y_stride) noexcept;

  void (*rms_norm)(const float* x, const float* weight, std::size_t size, float epsilon,
                   float* out) noexcept;
  void (*softmax)(const float* x, std::size_t size, float* out) noexcept;
  void (*silu_multiply)(const float* gate, const float* up, std::size_t size, float* out) noexcept;
  void (*add)(const float* x, std::size_t size, float* sum) noexcept;
  void (*rope)(float* head, const float* cosines, const float* sines, std::size_t half) noexcept;
  double (*log_sum_exp)(const float* x, std::size_t size) noexcept;
  double (*divergence)(const float* reference, double reference_log_sum, const float* x,
                       double log_sum, std::size_t size) noexcept;
  void (*attention)(const AttentionTask& task) noexcept;
};

// Floats of scratch that one attention task needs.
inline constexpr std::size_t attention_scratch(std::size_t head_dim) {
  const std::size_t padded = (head_dim + 31) / 32 * 32;
  return kAttentionRows * (2 * padded + 2 * kAttentionTile) + 2 * kAttentionTile * padded;
}

// The table of an instruction set that this machine has.
const KernelTable& kernel_table(Isa isa) noexcept;
// The table of active_isa().
const KernelTable& active_kernels();

}  // namespace helix
