#pragma once

#include <cstdint>
#include <span>
#include <variant>

#include "helix/compressed_tensor.h"
#include "helix/tensor.h"

namespace helix {

// A table of vectors, dense or compressed, of which single rows are read. Borrows the weights.
class EmbeddingTable {
 public:
  explicit EmbeddingTable(TensorView table) : table_(std::move(table)) {}
  explicit EmbeddingTable(CompressedTensor table) : table_(std::move(table)) {}

  std::uint64_t weight_bytes() const;
  // out (ids, columns). Throws Error(kInvalidArgument) for an id that the table lacks.
  void read(std::span<const std::uint32_t> ids, std::span<float> out) const;

 private:
  std::variant<TensorView, CompressedTensor> table_;
};

}  // namespace helix
