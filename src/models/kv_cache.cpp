#include "models/kv_cache.h"

#include <algorithm>

namespace helix {
namespace {

constexpr std::size_t kFirstPositions = 256;

}  // namespace

KvCache::KvCache(const AttentionShape& shape, std::size_t layers, DType dtype, std::size_t capacity,
                 std::size_t same_up_to)
    : shape_(shape), dtype_(dtype), capacity_(capacity), same_up_to_(same_up_to), layers_(layers) {}

bool KvCache::truncate(std::size_t length) {
  length_ = std::min(length_, length);
  if (length_ == 0) longest_ = 0;
  return true;
}

bool KvCache::holds_for(std::size_t final_length) const {
  return std::max(longest_, final_length) <= same_up_to_;
}

std::uint64_t KvCache::bytes() const {
  std::uint64_t total = 0;
  for (const Layer& layer : layers_) total += layer.keys.size() + layer.values.size();
  return total;
}

void KvCache::reserve(std::size_t length) {
  // Layer by layer: the old and the new form of a whole cache never exist together.
  for (Layer& layer : layers_) {
    if (length <= layer.reserved) continue;
    const std::size_t wanted = std::max({length, 2 * layer.reserved, kFirstPositions});
    const std::size_t positions = std::min(wanted, std::max(capacity_, length));
    std::vector<std::byte> keys(cache_bytes(shape_, dtype_, positions));
    std::vector<std::byte> values(keys.size());
    copy_heads(layer.keys, layer.reserved, keys, positions);
    copy_heads(layer.values, layer.reserved, values, positions);
    layer = {std::move(keys), std::move(values), positions};
  }
}

void KvCache::copy_heads(const std::vector<std::byte>& from, std::size_t from_positions,
                         std::vector<std::byte>& to, std::size_t to_positions) const {
  const std::size_t row_bytes = shape_.head_dim * dtype_bytes(dtype_);
  const std::size_t used = std::min(length_, from_positions) * row_bytes;
  for (std::size_t head = 0; head < shape_.key_heads; ++head) {
    std::copy_n(from.data() + head * from_positions * row_bytes, used,
                to.data() + head * to_positions * row_bytes);
  }
}

KeyValueCache KvCache::layer(std::size_t index) {
  Layer& layer = layers_[index];
  return {.keys = layer.keys.data(),
          .values = layer.values.data(),
          .dtype = dtype_,
          .capacity = layer.reserved};
}

}  // namespace helix
