#pragma once

#include "helix/error.h"
#include "helix/inspect.h"

namespace helix::cli {

// The one table of exit statuses (`helix man` and docs/architecture.md quote it).
inline constexpr int kSuccess = 0;

inline int exit_status(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInternal: return 1;
    case ErrorCode::kInvalidArgument: return 2;
    case ErrorCode::kNotFound: return 3;
    case ErrorCode::kCorruptData: return 4;
    case ErrorCode::kUnsupported: return 5;
    case ErrorCode::kIoError: return 6;
    case ErrorCode::kOutOfMemory: return 7;
    case ErrorCode::kDeviceError: return 8;
    case ErrorCode::kCancelled: return 130;  // as a shell reports SIGINT
  }
  return 1;
}

// `helix verify`: 21 hash, 22 content, 23 missing tensor, 24 key count, 25 metrics; the first that
// applies.
inline int exit_status(Finding finding) { return 20 + static_cast<int>(finding); }

}  // namespace helix::cli
