#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace helix {

// Stable codes, one per kind of fault. The program's exit status, the server's HTTP status and the
// Python exception follow from the code, so a code never changes its meaning or its number.
enum class ErrorCode : std::uint8_t {
  kInvalidArgument = 1,  // the caller asked for something that makes no sense
  kNotFound = 2,         // a file, tensor or module that should be there is not
  kCorruptData = 3,      // a file breaks its format
  kUnsupported = 4,      // well-formed, but nothing this version can work with
  kIoError = 5,          // the operating system failed to read or write
  kOutOfMemory = 6,
  kDeviceError = 7,  // an accelerator or its driver failed
  kCancelled = 8,    // stopped because the caller asked for it
  kInternal = 9,     // a fault of this library
};

// "corrupt data", "not found", ...: the code in words.
const char* error_code_name(ErrorCode code) noexcept;

// The only exception type that leaves the library (std::bad_alloc is turned into kOutOfMemory by
// the programs). The message names the file and the tensor, what was expected and what was found.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace helix
