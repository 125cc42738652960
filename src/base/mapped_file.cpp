#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/message.h"

namespace helix {

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  // Without O_NONBLOCK a named pipe in a model folder would wait for a writer for ever.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) {
    const ErrorCode code = errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIoError;
    throw_error(code, path.string(), ": cannot open: ", std::strerror(errno));
  }
  struct stat status {};
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor);
    throw_error(ErrorCode::kIoError, path.string(), ": not a regular file");
  }
  size_ = static_cast<std::size_t>(status.st_size);
  if (size_ > 0) {
    void* address = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (address == MAP_FAILED) {
      const int fault = errno;
      ::close(descriptor);
      throw_error(fault == ENOMEM ? ErrorCode::kOutOfMemory : ErrorCode::kIoError, path.string(),
                  ": cannot map: ", std::strerror(fault));
    }
    data_ = static_cast<const std::byte*>(address);
#ifdef MADV_HUGEPAGE
    // A wish: file systems that can then read the file into large pages.
    ::madvise(address, size_, MADV_HUGEPAGE);
#endif
  }
  ::close(descriptor);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

void release_pages(std::span<const std::byte> bytes) noexcept {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t past = reinterpret_cast<std::uintptr_t>(bytes.data()) % page;
  const std::size_t skip = (page - past) % page;  // up to the first whole page
  if (bytes.size() < skip + page) return;
  auto* first = const_cast<std::byte*>(bytes.data()) + skip;
  ::madvise(first, (bytes.size() - skip) / page * page, MADV_DONTNEED);
}

}  // namespace helix
