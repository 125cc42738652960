#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace helix::fuzz {

struct PlainTensor {
  std::string dtype;
  std::vector<std::uint64_t> shape;
  std::vector<std::uint8_t> data;
};

struct PlainMatrix {
  std::uint64_t rows = 0;
  std::uint64_t columns = 0;
  std::vector<float> stored;     // (rows, columns), without the low-rank part
  std::vector<double> low_rank;  // (rows, columns), or empty
  std::vector<double> size;      // sum of the magnitudes of what low_rank sums, beside it
  std::vector<float> scales;     // (columns), or empty
};

// One module from its parts by docs/format.md in plain loops, sharing nothing with the library;
// nothing where a rule is broken. `parts` are keyed by the part's name. `shape` is that of packed
// indices, where something tells it.
std::optional<PlainMatrix> read_plainly(
    const std::map<std::string, PlainTensor>& parts,
    const std::optional<std::pair<std::uint64_t, std::uint64_t>>& shape);

}  // namespace helix::fuzz
