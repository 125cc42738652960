#include "receipt_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "helix/error.h"
#include "model_options.h"

namespace helix::cli {
namespace {

namespace fs = std::filesystem;

void check_place(const std::string& path) {
  const fs::path folder = fs::absolute(path).parent_path();
  if (!fs::is_directory(folder)) {
    throw Error(ErrorCode::kNotFound, path + ": there is no folder " + folder.string());
  }
  if (!fs::exists(path) || (!fs::is_directory(path) && !fs::is_regular_file(path))) return;
  if (fs::is_regular_file(path)) {
    const auto known = nlohmann::json::parse(read_text(path), nullptr, false);
    if (known.is_object() && known.contains("receipt")) return;
  }
  throw Error(ErrorCode::kInvalidArgument,
              path + ": is there and no receipt of an evaluation; it is left as it is");
}

}  // namespace

ReceiptFile::ReceiptFile(std::string path) : path_(std::move(path)) {
  check_place(path_);
  if (fs::exists(path_) && !fs::is_regular_file(fs::symlink_status(path_))) return;
  partial_ = path_ + ".partial-" + std::to_string(::getpid());
  descriptor_ = ::open(partial_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail();
}

ReceiptFile::~ReceiptFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  if (!partial_.empty()) ::unlink(partial_.c_str());
}

void ReceiptFile::write(const std::string& text) {
  if (partial_.empty()) descriptor_ = ::open(path_.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
  if (descriptor_ < 0) fail();
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t count = ::write(descriptor_, text.data() + done, text.size() - done);
    if (count < 0 && errno != EINTR) fail();
    if (count > 0) done += static_cast<std::size_t>(count);
  }
  if (!partial_.empty()) {
    if (::fsync(descriptor_) != 0 || ::rename(partial_.c_str(), path_.c_str()) != 0) fail();
  }
  if (::close(std::exchange(descriptor_, -1)) != 0) fail();
}

void ReceiptFile::fail() const {
  throw Error(ErrorCode::kIoError,
              path_ + ": the receipt cannot be written: " + std::strerror(errno));
}

}  // namespace helix::cli
