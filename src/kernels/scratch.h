#pragma once

#include <cstddef>
#include <span>
#include <utility>

#include "base/large_memory.h"

namespace helix {

// Working memory that a thread keeps between calls: grows, and is freed with the thread.
class Scratch {
 public:
  Scratch() = default;
  ~Scratch() { free_large(memory_, bytes_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  // At least `count` elements at a 64-byte boundary, with unspecified contents, valid until the
  // next call for the same object.
  template <typename Element>
  Element* get(std::size_t count) {
    return static_cast<Element*>(reserve(count * sizeof(Element)));
  }
  template <typename Element>
  std::span<Element> span(std::size_t count) {
    return {get<Element>(count), count};
  }

 private:
  void* reserve(std::size_t bytes) {
    if (bytes > bytes_) {
      free_large(std::exchange(memory_, nullptr), std::exchange(bytes_, 0));
      memory_ = allocate_large(bytes);
      bytes_ = bytes;
    }
    return memory_;
  }

  void* memory_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace helix
