#include "kernels/embedding.h"

#include "base/message.h"

namespace helix {
namespace {

void check(std::uint64_t rows, std::uint64_t columns, std::span<const std::uint32_t> ids,
           std::span<float> out) {
  if (out.size() != ids.size() * columns) {
    throw_error(ErrorCode::kInvalidArgument, ids.size(), " embeddings of ", columns,
                " numbers do not fit in ", out.size());
  }
  for (const std::uint32_t id : ids) {
    if (id >= rows) {
      throw_error(ErrorCode::kInvalidArgument, "id ", id, " lies outside the ", rows,
                  " rows of the embedding");
    }
  }
}

}  // namespace

void embed(const TensorView& table, std::span<const std::uint32_t> ids, std::span<float> out) {
  if (table.shape.size() != 2) {
    throw_error(ErrorCode::kInvalidArgument, "embedding of shape ", shape_text(table.shape),
                ": expected a matrix");
  }
  const std::uint64_t columns = table.shape[1];
  check(table.shape[0], columns, ids, out);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    read_floats(table, ids[i] * columns, out.subspan(i * columns, columns));
  }
}

void embed(const CompressedTensor& table, std::span<const std::uint32_t> ids,
           std::span<float> out) {
  check(table.rows, table.columns, ids, out);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    decode_rows(table, ids[i], out.subspan(i * table.columns, table.columns));
  }
}

}  // namespace helix
