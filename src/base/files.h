// Files: reading, mapping, and writing so that a reader never sees half of one. All errors are megin::Error
// and name the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace megin {

// The whole file as bytes. Throws Error when it cannot be opened or read.
std::string read_file(const std::filesystem::path& path);

// Writes `bytes` to a temporary file beside `path`, flushes it to the disk and renames it into place. Either
// the old file or the whole new one exists at any moment; on an error (full disk) the temporary is removed
// and the old file stays.
void write_file_atomically(const std::filesystem::path& path, std::string_view bytes);

// The same for a file whose bytes are the pieces one after another, so that large ones need not be joined.
void write_file_atomically(const std::filesystem::path& path, std::span<const std::string_view> pieces);

// Builds a directory under a temporary name, calls `fill` with it, flushes everything in it, and renames it
// to `path` (which must not exist, or is replaced when `replace` is set). If `fill` throws, nothing remains.
void write_directory_atomically(const std::filesystem::path& path,
                                const std::function<void(const std::filesystem::path&)>& fill,
                                bool replace = false);

// Flushes a file or a directory to the disk (fsync).
void sync_path(const std::filesystem::path& path);

// XXH3 64-bit checksum of bytes, and of a whole file (read in pieces).
uint64_t checksum(std::string_view bytes);
uint64_t file_checksum(const std::filesystem::path& path);

// A file mapped read-only. Movable; the bytes stay valid as long as the object lives. Safe to read from any
// number of threads. An empty file gives an empty span.
class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace megin
