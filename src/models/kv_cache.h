#pragma once

#include <algorithm>
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
  // `dtype`: F32 or F16. `same_up_to`: keys of sequences up to this length are turned alike.
  KvCache(const AttentionShape& shape, std::size_t layers, DType dtype, std::size_t capacity,
          std::size_t same_up_to);

  std::size_t length() const override { return length_; }
  std::size_t capacity() const override { return capacity_; }
  bool truncate(std::size_t length) override;
  bool holds_for(std::size_t final_length) const override;
  std::uint64_t bytes() const override;

  // Makes room for `length` positions. Where memory runs out (std::bad_alloc) the sequence is
  // unchanged.
  void reserve(std::size_t length);
  // The positions written so far are part of the sequence; keys were turned for a sequence of
  // `final_length`.
  void set_length(std::size_t length, std::size_t final_length) {
    length_ = length;
    longest_ = std::max(longest_, final_length);
  }

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
  std::size_t same_up_to_;
  std::size_t length_ = 0;
  std::size_t longest_ = 0;  // that keys were turned for
  std::vector<Layer> layers_;
};

}  // namespace helix
