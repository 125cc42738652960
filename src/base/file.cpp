#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/mapped_file.h"
#include "base/message.h"

namespace helix {
namespace {

[[noreturn]] void throw_errno(const std::filesystem::path& path, const char* what) {
  throw_error(ErrorCode::kIoError, path.string(), ": cannot ", what, ": ", std::strerror(errno));
}

std::filesystem::path temporary_sibling(const std::filesystem::path& path) {
  return path.parent_path() / concat(".", path.filename().string(), ".", ::getpid(), ".tmp");
}

void publish(const std::filesystem::path& temporary, const std::filesystem::path& path,
             std::span<const std::byte> content) {
  try {
    OutputFile file(temporary, OutputFile::Mode::kTruncate);
    file.write_at(0, content);
    file.sync();
    file.close();
    if (::rename(temporary.c_str(), path.c_str()) != 0) throw_errno(path, "rename to");
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
}

}  // namespace

OutputFile::OutputFile(const std::filesystem::path& path, Mode mode) : path_(path) {
  const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (mode == Mode::kTruncate ? O_TRUNC : 0);
  descriptor_ = ::open(path.c_str(), flags, 0666);
  if (descriptor_ < 0) throw_errno(path_, "create");
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void OutputFile::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
  constexpr std::size_t kChunkBytes = std::size_t{1} << 28;  // one pwrite takes at most 2 GiB
  while (!bytes.empty()) {
    const auto chunk = bytes.first(std::min(bytes.size(), kChunkBytes));
    const ssize_t count =
        ::pwrite(descriptor_, chunk.data(), chunk.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) throw_errno(path_, "write");
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
}

void OutputFile::start_flush([[maybe_unused]] std::uint64_t offset,
                             [[maybe_unused]] std::uint64_t size) noexcept {
#ifdef SYNC_FILE_RANGE_WRITE
  ::sync_file_range(descriptor_, static_cast<off64_t>(offset), static_cast<off64_t>(size),
                    SYNC_FILE_RANGE_WRITE);
#endif
}

void OutputFile::truncate(std::uint64_t size) {
  if (::ftruncate(descriptor_, static_cast<off_t>(size)) != 0) throw_errno(path_, "resize");
}

void OutputFile::sync() {
  if (::fdatasync(descriptor_) != 0) throw_errno(path_, "flush");
}

void OutputFile::close() {
  const int descriptor = descriptor_;
  descriptor_ = -1;
  if (::close(descriptor) != 0) throw_errno(path_, "close");
}

std::string read_file(const std::filesystem::path& path, std::uint64_t limit) {
  const MappedFile file(path);
  if (file.bytes().size() > limit) {
    throw_error(ErrorCode::kCorruptData, path.string(), ": ", file.bytes().size(),
                " bytes, at most ", limit, " expected");
  }
  return std::string(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
}

void write_file_atomically(const std::filesystem::path& path, std::string_view content) {
  publish(temporary_sibling(path), path, std::as_bytes(std::span(content)));
}

void copy_file_atomically(const std::filesystem::path& from, const std::filesystem::path& to) {
  const MappedFile source(from);
  publish(temporary_sibling(to), to, source.bytes());
}

void sync_folder(const std::filesystem::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) throw_errno(folder, "open");
  ::fsync(
      descriptor);  // some file systems refuse this on folders; the rename itself is still atomic
  ::close(descriptor);
}

}  // namespace helix
