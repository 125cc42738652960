#include "helix/error.h"

#include "helix/progress.h"
#include "helix/version.h"

namespace helix {

const char* error_code_name(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kInvalidArgument: return "invalid argument";
    case ErrorCode::kNotFound: return "not found";
    case ErrorCode::kCorruptData: return "corrupt data";
    case ErrorCode::kUnsupported: return "unsupported";
    case ErrorCode::kIoError: return "I/O error";
    case ErrorCode::kOutOfMemory: return "out of memory";
    case ErrorCode::kDeviceError: return "device error";
    case ErrorCode::kCancelled: return "cancelled";
    case ErrorCode::kInternal: return "internal error";
  }
  return "unknown error";
}

void Hooks::check_cancelled() const {
  if (cancel != nullptr && cancel->cancelled())
    throw Error(ErrorCode::kCancelled, "stopped on request");
}

const char* version() noexcept { return HELIX_VERSION; }

}  // namespace helix
