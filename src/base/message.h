#pragma once

#include <sstream>
#include <string>

#include "helix/error.h"

namespace helix {

// "a" + 1 + "b" -> "a1b"
template <typename... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return text.str();
}

// throw_error(kCorruptData, path, ": header is ", n, " bytes")
template <typename... Parts>
[[noreturn]] void throw_error(ErrorCode code, const Parts&... parts) {
  throw Error(code, concat(parts...));
}

}  // namespace helix
