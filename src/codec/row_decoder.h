#pragma once

#include <cstdint>
#include <span>

#include "helix/compressed_tensor.h"

namespace helix {

// decode_rows for whole matrices, row after row: the same floats, without a copy of the indices
// where one byte is one index. The tensor outlives the decoder.
class RowDecoder {
 public:
  explicit RowDecoder(const CompressedTensor& tensor);
  // The next row, `out` as long as one.
  void next(std::span<float> out);

 private:
  void look_up(std::span<float> out);

  const CompressedTensor& tensor_;
  bool is_simple_;
  std::uint64_t row_ = 0;
  std::size_t outlier_ = 0;
};

}  // namespace helix
