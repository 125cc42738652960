#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <span>

namespace helix {

// Working memory that a thread keeps between calls: grows, and is freed with the thread.
class Scratch {
 public:
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
  struct Free {
    void operator()(void* memory) const { ::operator delete (memory, std::align_val_t{64}); }
  };

  void* reserve(std::size_t bytes) {
    if (bytes > bytes_) {
      memory_.reset();
      bytes_ = 0;
      memory_.reset(::operator new (bytes, std::align_val_t{64}));
      bytes_ = bytes;
    }
    return memory_.get();
  }

  std::unique_ptr<void, Free> memory_;
  std::size_t bytes_ = 0;
};

}  // namespace helix
