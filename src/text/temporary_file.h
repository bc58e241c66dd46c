// A nameless file for data that does not fit into memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace megin::text {

// Lives on the disk of a directory without a name there, so that nothing is left behind however the program
// ends. Movable; not for two threads at once. All errors are Error and name the directory and the disk's
// reason.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::filesystem::path& directory);
  TemporaryFile(TemporaryFile&& other) noexcept;
  TemporaryFile& operator=(TemporaryFile&& other) noexcept;
  ~TemporaryFile();

  // Appends all of `bytes`.
  void append(std::span<const std::byte> bytes);

  // Reads from byte `offset` on; returns how many bytes there were, 0 at the end.
  size_t read(uint64_t offset, std::span<std::byte> bytes) const;

  // Makes the file `bytes` long, zero-filled and with the room on the disk taken, and maps it for reading and
  // writing. The memory is valid as long as this object lives; at most one call.
  std::span<std::byte> map(size_t bytes);

 private:
  [[noreturn]] void fail_disk(const char* what, int reason) const;

  std::filesystem::path directory_;
  int fd_ = -1;
  std::span<std::byte> mapped_;
};

}  // namespace megin::text
