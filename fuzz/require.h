#pragma once

#include <cstdio>
#include <cstdlib>

namespace helix::fuzz {

// A finding: ends the program, so that libFuzzer keeps the input.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "finding: %s\n", what);
  std::abort();
}

}  // namespace helix::fuzz
