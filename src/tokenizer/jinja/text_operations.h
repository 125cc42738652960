#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace helix::jinja {

// Python's string operations, on UTF-8.

// str.isspace of a character: four controls more than the property White_Space has.
bool is_python_space(char32_t c);

enum class Side { kLeft, kRight, kBoth };
// str.strip: whitespace. With characters: those.
std::string_view strip(std::string_view text, Side side);
std::string_view strip(std::string_view text, std::string_view characters, Side side);

// str.split: at whitespace, or at a separator (not empty), at most `limit` times (negative:
// always).
std::vector<std::string_view> split(std::string_view text, std::int64_t limit);
std::vector<std::string_view> split(std::string_view text, std::string_view separator,
                                    std::int64_t limit);
// str.rsplit with a separator.
std::vector<std::string_view> split_from_right(std::string_view text, std::string_view separator,
                                               std::int64_t limit);
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends);

// str.replace: the first `limit` occurrences (negative: all); an empty `from` stands between all
// characters.
std::string replace(std::string_view text, std::string_view from, std::string_view to,
                    std::int64_t limit);

}  // namespace helix::jinja
