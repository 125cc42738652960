#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace helix::cli {

// Decimal units: "1.03 GB", "512 B".
std::string bytes_text(std::uint64_t bytes);
// Fixed decimals: fixed(3.14159, 2) is "3.14"; "infinite" for infinity.
std::string fixed(double value, int decimals);
// Significant digits: rounded(0.00735062, 3) is "0.00735".
std::string rounded(double value, int digits);
// "43.21 dB", or "exact" for infinity: an SNR without any error.
std::string decibel_text(double decibels, const char* unit = " dB");
// Indented, with a final newline; bytes that are no UTF-8 (of a path) become U+FFFD.
std::string json_text(const nlohmann::ordered_json& json);
// "0:07", "1:02:03"
std::string duration_text(double seconds);

// "5GB", "500 MB", "1024", "2GiB"; throws Error(kInvalidArgument).
std::uint64_t parse_bytes(const std::string& text);

// Columns padded to their widest cell, two spaces apart; cells of `right_aligned` columns end
// together.
class Table {
 public:
  explicit Table(std::vector<std::string> header, std::vector<bool> right_aligned);
  void add(std::vector<std::string> row);
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
  std::vector<bool> right_aligned_;
};

}  // namespace helix::cli
