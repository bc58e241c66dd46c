// Bytes of a file, unpacked on the way: plain, gzip and Zstandard, told apart by their first bytes and never
// by the name. Every reader of a corpus stands on this, so every format may be compressed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace megin::text {

// A one-way stream. Not for use by two threads at once. Memory is a fixed buffer, whatever the file's size.
class ByteStream {
 public:
  virtual ~ByteStream() = default;

  // Fills the front of `buffer` and returns how many bytes it wrote; 0 only at the end of the data.
  // Throws Error naming the file, the line reached and the remedy when the file cannot be read or when
  // compressed data is truncated or damaged; all bytes before the damage are handed out first.
  size_t read(std::span<char> buffer);

  const std::filesystem::path& path() const { return path_; }

  // Line ends (\n) handed out so far.
  uint64_t newlines() const { return newlines_; }

 protected:
  explicit ByteStream(std::filesystem::path path) : path_(std::move(path)) {}

  virtual size_t read_some(std::span<char> buffer) = 0;

 private:
  std::filesystem::path path_;
  uint64_t newlines_ = 0;
};

// Opens `path`. Several gzip members or Zstandard frames in one file are read one after the other.
// Throws Error when the file is missing, is a directory or cannot be opened.
std::unique_ptr<ByteStream> open_bytes(const std::filesystem::path& path);

// The whole unpacked content. Throws Error when it is larger than `limit` bytes, so that a small compressed
// file cannot fill the memory.
std::string read_bytes(const std::filesystem::path& path, size_t limit);

}  // namespace megin::text
