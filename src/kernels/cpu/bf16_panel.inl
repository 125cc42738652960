// Panels of BF16 weights for the dot units. Included after f32_products.inl.

static void bf16_panel(const std::byte* weights, std::size_t columns, std::size_t row,
                       std::size_t rows, std::uint16_t* panel) noexcept {
  constexpr std::size_t kColumns = 2 * kLanes;  // a vector of pairs
  for (std::size_t begin = 0; begin < columns; begin += kColumns) {
    alignas(64) float square[kLanes * kLanes];
    const std::size_t count = smaller_size(kColumns, columns - begin);
    for (std::size_t first = 0; first < kPanelRows; first += kLanes) {
      for (std::size_t r = 0; r < kLanes; ++r) {
        const std::byte* from = weights + ((row + first + r) * columns + begin) * 2;
        Vec pairs = {};
        if (first + r < rows && count == kColumns) {
          pairs = load(from);
        } else if (first + r < rows) {
          __builtin_memcpy(&pairs, from, count * 2);
        }
        store(square + r * kLanes, pairs);
      }
      transpose(square, kLanes, reinterpret_cast<float*>(panel) + begin / 2 * kPanelRows + first,
                kPanelRows);
    }
  }
}
