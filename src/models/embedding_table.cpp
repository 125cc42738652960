#include "models/embedding_table.h"

#include "kernels/embedding.h"

namespace helix {
namespace {

std::uint64_t bytes_of(const TensorView& table) { return table.data.size(); }
std::uint64_t bytes_of(const CompressedTensor& table) { return table.stored_bytes(); }

}  // namespace

std::uint64_t EmbeddingTable::weight_bytes() const {
  return std::visit([](const auto& table) { return bytes_of(table); }, table_);
}

void EmbeddingTable::read(std::span<const std::uint32_t> ids, std::span<float> out) const {
  std::visit([&](const auto& table) { embed(table, ids, out); }, table_);
}

}  // namespace helix
