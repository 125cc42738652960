#pragma once

#include <cstddef>
#include <cstdint>

// What this machine can do at best, and the obvious ways to multiply by codes.
namespace helix::bench {

// Ways to read plainly: which is fastest differs from processor to processor.
enum class Reading { kInOrder, kAskingAhead, kFourPlaces };
inline constexpr int kReadings = 3;

// Reads `bytes` but for less than 1,024 of them and returns something that depends on all it read.
std::uint64_t read_all(const std::byte* data, std::size_t bytes, Reading reading);

// AVX-512 BF16 dots from registers: twelve independent ones per step.
bool has_dot_unit();
void run_dots(std::size_t steps);
inline double dot_operations(std::size_t steps) { return 12.0 * 64.0 * static_cast<double>(steps); }

// y (rows) = codebook[indices (rows, columns)] * x.
using PlainProduct = void (*)(const float* codebook, const std::uint8_t* indices, std::size_t rows,
                              std::size_t columns, const float* x, float* y);
void scalar_product(const float* codebook, const std::uint8_t* indices, std::size_t rows,
                    std::size_t columns, const float* x, float* y);
bool has_gather();
void gather_product(const float* codebook, const std::uint8_t* indices, std::size_t rows,
                    std::size_t columns, const float* x, float* y);

}  // namespace helix::bench
