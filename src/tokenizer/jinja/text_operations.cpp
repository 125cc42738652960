#include "tokenizer/jinja/text_operations.h"

#include <algorithm>

#include "tokenizer/unicode.h"
#include "tokenizer/utf8.h"

namespace helix::jinja {
namespace {

template <typename Predicate>
std::string_view strip_if(std::string_view text, Side side, Predicate drops) {
  while (side != Side::kRight && !text.empty()) {
    std::size_t offset = 0;
    if (!drops(next_code_point(text, offset))) break;
    text.remove_prefix(offset);
  }
  while (side != Side::kLeft && !text.empty()) {
    std::size_t begin = text.size() - 1;
    while (begin > 0 && (text[begin] & 0xC0) == 0x80) --begin;
    std::size_t offset = begin;
    if (!drops(next_code_point(text, offset))) break;
    text = text.substr(0, begin);
  }
  return text;
}

bool is_line_end(char32_t c) {
  return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

}  // namespace

bool is_python_space(char32_t c) { return is_whitespace(c) || (c >= 0x1C && c <= 0x1F); }

std::string_view strip(std::string_view text, Side side) {
  return strip_if(text, side, is_python_space);
}

std::string_view strip(std::string_view text, std::string_view characters, Side side) {
  const std::u32string set = code_points(characters);
  return strip_if(text, side, [&](char32_t c) { return set.find(c) != set.npos; });
}

std::vector<std::string_view> split(std::string_view text, std::int64_t limit) {
  std::vector<std::string_view> parts;
  text = strip(text, Side::kLeft);
  while (!text.empty()) {
    if (limit >= 0 && static_cast<std::int64_t>(parts.size()) == limit) {
      parts.push_back(text);
      return parts;
    }
    std::size_t end = 0;
    std::size_t next = 0;
    while (end < text.size() && !is_python_space(next_code_point(text, next))) end = next;
    parts.push_back(text.substr(0, end));
    text = strip(text.substr(end), Side::kLeft);
  }
  return parts;
}

std::vector<std::string_view> split(std::string_view text, std::string_view separator,
                                    std::int64_t limit) {
  std::vector<std::string_view> parts;
  while (limit < 0 || static_cast<std::int64_t>(parts.size()) < limit) {
    const std::size_t at = text.find(separator);
    if (at == text.npos) break;
    parts.push_back(text.substr(0, at));
    text.remove_prefix(at + separator.size());
  }
  parts.push_back(text);
  return parts;
}

std::vector<std::string_view> split_from_right(std::string_view text, std::string_view separator,
                                               std::int64_t limit) {
  std::vector<std::string_view> parts;
  while (limit < 0 || static_cast<std::int64_t>(parts.size()) < limit) {
    const std::size_t at = text.rfind(separator);
    if (at == text.npos) break;
    parts.push_back(text.substr(at + separator.size()));
    text = text.substr(0, at);
  }
  parts.push_back(text);
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  std::size_t begin = 0;
  for (std::size_t offset = 0; offset < text.size();) {
    const std::size_t end = offset;
    const char32_t c = next_code_point(text, offset);
    if (!is_line_end(c)) continue;
    if (c == '\r' && offset < text.size() && text[offset] == '\n') ++offset;
    lines.push_back(text.substr(begin, (keep_ends ? offset : end) - begin));
    begin = offset;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

std::string replace(std::string_view text, std::string_view from, std::string_view to,
                    std::int64_t limit) {
  std::string result;
  std::size_t done = 0;
  std::int64_t count = 0;
  if (from.empty()) {
    for (std::size_t offset = 0; offset <= text.size() && (limit < 0 || count < limit); ++count) {
      result += to;
      if (offset == text.size()) return result;
      next_code_point(text, offset);
      result += text.substr(done, offset - done);
      done = offset;
    }
    return result.append(text.substr(done));
  }
  for (std::size_t at = text.find(from); at != text.npos && (limit < 0 || count < limit);
       at = text.find(from, done), ++count) {
    result += text.substr(done, at - done);
    result += to;
    done = at + from.size();
  }
  return result.append(text.substr(done));
}

}  // namespace helix::jinja
