#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>

namespace helix::cli {

// Digits that make a number from `least` to `most`, and nothing else: a signed or an empty text is
// no error by itself where the target is unsigned.
CLI::Validator whole_number(std::uint64_t least, std::uint64_t most);

// CLI11 takes an empty text for 0.
CLI::Validator decimal_number();

// What a shell makes of a variable that is not set is no name, and not the same as no option.
CLI::Validator not_empty();

}  // namespace helix::cli
