#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace helix {

// XXH3 of the bytes, 64 bits: for finding damage, not for trust.
std::uint64_t fast_hash(std::span<const std::byte> bytes) noexcept;

// SHA-256 (FIPS 180-4) over what is added, in lower-case hexadecimal.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void add(std::span<const std::byte> bytes);
  std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace helix
