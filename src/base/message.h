#pragma once

#include <filesystem>
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

// Runs `work`, turning what std::filesystem throws into Error(kIoError).
template <typename Work>
auto with_file_errors(const Work& work) {
  try {
    return work();
  } catch (const std::filesystem::filesystem_error& fault) {
    throw Error(ErrorCode::kIoError, fault.what());
  }
}

}  // namespace helix
