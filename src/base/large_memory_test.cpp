#include "base/large_memory.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace helix {
namespace {

TEST(LargeMemory, AlignsByWhatIsAsked) {
  for (const std::size_t bytes : {1UL, 4096UL, (1UL << 21) - 1, 1UL << 21, (5UL << 20) + 3}) {
    void* memory = allocate_large(bytes);
    const auto address = reinterpret_cast<std::uintptr_t>(memory);
    EXPECT_EQ(address % (bytes < 1UL << 21 ? 64 : 1UL << 21), 0U) << bytes;
    static_cast<char*>(memory)[bytes - 1] = 1;
    free_large(memory, bytes);
  }
}

TEST(LargeMemory, VectorsGrowAndKeepTheirContents) {
  LargeVector<std::uint32_t> numbers;
  for (std::uint32_t i = 0; i < 1'500'000; ++i) numbers.push_back(i);
  for (std::uint32_t i = 0; i < 1'500'000; ++i) ASSERT_EQ(numbers[i], i);
}

}  // namespace
}  // namespace helix
