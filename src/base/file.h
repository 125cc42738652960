#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace helix {

// An open file for writing at given offsets. Every call throws Error(kIoError) naming the file on
// failure (a full disk included). Not thread-safe.
class OutputFile {
 public:
  enum class Mode {
    kTruncate,
    kKeep
  };  // kKeep opens what is there and creates the file where there is none
  OutputFile(const std::filesystem::path& path, Mode mode);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write_at(std::uint64_t offset, std::span<const std::byte> bytes);
  // Asks the system to begin writing a range to the disk, so that sync() has less to wait for.
  void start_flush(std::uint64_t offset, std::uint64_t size) noexcept;
  void truncate(std::uint64_t size);
  // Data reach the disk.
  void sync();
  // Closes and reports what closing reports; the destructor stays silent.
  void close();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

// The whole content; throws Error(kNotFound | kIoError), and kCorruptData where it is longer than
// `limit` bytes.
std::string read_file(const std::filesystem::path& path,
                      std::uint64_t limit = std::uint64_t{1} << 30);

// Writes a sibling temporary file, syncs it and renames it to `path`: a reader sees the old content
// or the new.
void write_file_atomically(const std::filesystem::path& path, std::string_view content);
// The same, from another file, without reading it into memory.
void copy_file_atomically(const std::filesystem::path& from, const std::filesystem::path& to);

// Makes entries of a folder (created, renamed, removed files) durable.
void sync_folder(const std::filesystem::path& folder);

}  // namespace helix
