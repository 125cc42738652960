#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "helix/tensor.h"
#include "kernels/attention.h"
#include "models/causal_model.h"

namespace helix {

// Keys and values of one sequence, every layer. Grows by doubling as tokens come, so that a long
// context costs nothing until it is used.
class KvCache final : public SequenceState {
 public:
  // `dtype`: F32 or F16.
  KvCache(const AttentionShape& shape, std::size_t layers, DType dtype, std::size_t capacity);

  std::size_t length() const override { return length_; }
  std::size_t capacity() const override { return capacity_; }
  bool truncate(std::size_t length) override;
  std::uint64_t bytes() const override;

  // Makes room for `length` positions. Where memory runs out (std::bad_alloc) the sequence is
  // unchanged.
  void reserve(std::size_t length);
  // The positions written so far are part of the sequence.
  void set_length(std::size_t length) { length_ = length; }

  // One layer as the kernels see it, valid until the next reserve().
  KeyValueCache layer(std::size_t index);

 private:
  struct Layer {
    std::vector<std::byte> keys;  // (key_heads, reserved positions, head_dim)
    std::vector<std::byte> values;
    std::size_t reserved = 0;
  };

  void copy_heads(const std::vector<std::byte>& from, std::size_t from_positions,
                  std::vector<std::byte>& to, std::size_t to_positions) const;

  AttentionShape shape_;
  DType dtype_;
  std::size_t capacity_;
  std::size_t length_ = 0;
  std::vector<Layer> layers_;
};

}  // namespace helix
