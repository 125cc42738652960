#pragma once

#include <string>

namespace helix::cli {

// The file that a result goes to beside what is printed: a new one, in place of an older receipt,
// or a device or pipe. What would keep it from being written shows before anything is computed, and
// it appears under its name at once.
class ReceiptFile {
 public:
  // Throws Error(kNotFound | kInvalidArgument | kIoError).
  explicit ReceiptFile(std::string path);
  // Without write(), nothing stays.
  ~ReceiptFile();
  ReceiptFile(const ReceiptFile&) = delete;
  ReceiptFile& operator=(const ReceiptFile&) = delete;

  void write(const std::string& text);

 private:
  [[noreturn]] void fail() const;

  std::string path_;
  std::string partial_;  // empty for a device or a pipe
  int descriptor_ = -1;
};

}  // namespace helix::cli
