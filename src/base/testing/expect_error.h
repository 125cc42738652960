#pragma once

#include <gtest/gtest.h>

#include <string>

#include "helix/error.h"

namespace helix::testing {

// Runs `action`, which must throw Error with this code and a message that holds `part`.
template <typename Action>
void expect_error(ErrorCode code, const std::string& part, Action action) {
  try {
    action();
    ADD_FAILURE() << "nothing was thrown, expected: " << error_code_name(code) << ", " << part;
  } catch (const Error& error) {
    EXPECT_STREQ(error_code_name(error.code()), error_code_name(code)) << error.what();
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos)
        << "message: " << error.what() << "\nexpected in it: " << part;
  }
}

}  // namespace helix::testing
