#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace helix {

// A whole file, mapped read-only. Move-only; the bytes live as long as the object. Several threads
// may read. The file must not shrink while it is mapped.
class MappedFile {
 public:
  // Throws Error(kNotFound | kIoError) naming the file; a folder or a device is kIoError.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// Tells the kernel that these mapped bytes are not needed soon, so that they do not count as
// resident.
void release_pages(std::span<const std::byte> bytes) noexcept;

}  // namespace helix
