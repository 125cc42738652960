#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace helix {

// How the index matrix of a compressed tensor lies in memory (docs/format.md).
enum class IndexFormat : std::uint8_t {
  kU8,        // one byte per index
  kPacked12,  // two indices in three bytes, over the whole matrix in C order
  kU16,       // two bytes per index, little endian, not necessarily aligned
};

// A weight matrix of `rows` output by `columns` input features as codebook, indices and exact
// outliers:
//   stored[r, c] = codebook[indices[r, c / d], c % d], replaced by a sidecar value where there is
//   one,
//                  plus (svd_u * svd_s) @ svd_vt
//   weight[r, c] = stored[r, c] / channel_scales[c]
// Index access beyond `read_indices` is the kernels' business: nothing else may assume one byte per
// index.
//
// Copies are cheap: the index bytes are shared. `index_owner` is empty where they are borrowed
// (from a mapped file, say), and then the lender must outlive the tensor.
struct CompressedTensor {
  std::uint64_t rows = 0;
  std::uint64_t columns = 0;
  std::uint32_t vector_size = 1;  // d: weights per index
  std::vector<float> codebook;    // (k, d)
  IndexFormat index_format = IndexFormat::kU8;
  std::span<const std::byte> indices;  // (rows, columns / d) in `index_format`
  std::shared_ptr<const void> index_owner;
  std::vector<std::int64_t> sidecar_positions;  // strictly ascending flat positions r * columns + c
  std::vector<float> sidecar_values;            // one per position
  std::uint32_t svd_rank = 0;                   // 0: no low-rank part (only old files have one)
  std::vector<float> svd_u;                     // (rows, rank)
  std::vector<float> svd_s;                     // (rank)
  std::vector<float> svd_vt;                    // (rank, columns)
  std::vector<float> channel_scales;            // (columns), or empty

  std::uint64_t codebook_size() const { return codebook.size() / vector_size; }
  std::uint64_t index_columns() const { return columns / vector_size; }
  std::uint64_t index_count() const { return rows * index_columns(); }
  // Bytes of every stored part together, as the checkpoint counts them (positions as I64).
  std::uint64_t stored_bytes() const;
};

// Bytes that `count` indices take; throws Error(kInvalidArgument) for an odd count of packed
// indices.
std::uint64_t index_bytes(IndexFormat format, std::uint64_t count);

// The functions that read and decode below expect a tensor that satisfies validate() and a range
// within it; they check neither.

// Indices [begin, begin + out.size()) of the flattened index matrix.
void read_indices(const CompressedTensor& tensor, std::uint64_t begin,
                  std::span<std::uint16_t> out);
// Packs `indices` (each within the format's range) into `out` of index_bytes() bytes.
void write_indices(std::span<const std::uint16_t> indices, IndexFormat format,
                   std::span<std::byte> out);

// Throws Error(kCorruptData), naming `name` and the fault, unless every rule of docs/format.md
// holds. Reads every index unless `codebook_size` admits all values of the format.
void validate(const CompressedTensor& tensor, std::string_view name);

// Rows [row_begin, row_begin + out.size() / columns) of the dense weight, in F32: the meaning of
// the format. Deterministic: lookups and divisions are single F32 operations, the low-rank part is
// summed in F64.
void decode_rows(const CompressedTensor& tensor, std::uint64_t row_begin, std::span<float> out);

// As decode_rows, before the division by channel_scales.
void decode_stored_rows(const CompressedTensor& tensor, std::uint64_t row_begin,
                        std::span<float> out);

}  // namespace helix
