#pragma once

#include <cstddef>
#include <vector>

namespace helix {

// Memory at a 64-byte boundary; from 2 MiB on at a boundary of that size and in huge pages where
// the system has any to give, which reads measurably faster and costs fewer page faults. Contents
// are unspecified. Throws std::bad_alloc.
void* allocate_large(std::size_t bytes);
void free_large(void* memory, std::size_t bytes) noexcept;  // with the same `bytes`

// The same for containers.
template <typename Element>
struct LargeAllocator {
  using value_type = Element;

  LargeAllocator() = default;
  template <typename Other>
  LargeAllocator(const LargeAllocator<Other>&) noexcept {}  // NOLINT: converting, as allocators do

  Element* allocate(std::size_t count) {
    return static_cast<Element*>(allocate_large(count * sizeof(Element)));
  }
  void deallocate(Element* memory, std::size_t count) noexcept {
    free_large(memory, count * sizeof(Element));
  }
  friend bool operator==(const LargeAllocator&, const LargeAllocator&) { return true; }
};

template <typename Element>
using LargeVector = std::vector<Element, LargeAllocator<Element>>;

}  // namespace helix
