#include "text/temporary_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "base/error.h"

namespace megin::text {

TemporaryFile::TemporaryFile(const std::filesystem::path& directory) : directory_(directory) {
  std::string name = (directory / "megin-XXXXXX").string();
  fd_ = ::mkostemp(name.data(), O_CLOEXEC);
  if (fd_ < 0) fail_disk("cannot create a temporary file", errno);
  ::unlink(name.c_str());
}

TemporaryFile::TemporaryFile(TemporaryFile&& other) noexcept {
  *this = std::move(other);
}

TemporaryFile& TemporaryFile::operator=(TemporaryFile&& other) noexcept {
  std::swap(directory_, other.directory_);
  std::swap(fd_, other.fd_);
  std::swap(mapped_, other.mapped_);
  return *this;
}

TemporaryFile::~TemporaryFile() {
  if (!mapped_.empty()) ::munmap(mapped_.data(), mapped_.size());
  if (fd_ >= 0) ::close(fd_);
}

void TemporaryFile::append(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd_, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail_disk("cannot write a temporary file", errno);
    bytes = bytes.subspan(static_cast<size_t>(put));
  }
}

size_t TemporaryFile::read(uint64_t offset, std::span<std::byte> bytes) const {
  size_t total = 0;
  while (total < bytes.size()) {
    const ssize_t got =
        ::pread(fd_, bytes.data() + total, bytes.size() - total, static_cast<off_t>(offset + total));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_disk("cannot read a temporary file", errno);
    if (got == 0) break;
    total += static_cast<size_t>(got);
  }
  return total;
}

std::span<std::byte> TemporaryFile::map(size_t bytes) {
  if (bytes == 0) return {};
  // With the room taken now, a full disk is an error here and not a signal at some later store.
  if (const int reason = ::posix_fallocate(fd_, 0, static_cast<off_t>(bytes)); reason != 0)
    fail_disk("cannot make room for a temporary file", reason);
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
  if (memory == MAP_FAILED) fail_disk("cannot map a temporary file", errno);
  mapped_ = {static_cast<std::byte*>(memory), bytes};
  return mapped_;
}

void TemporaryFile::fail_disk(const char* what, int reason) const {
  fail("{} in {}: {}; choose a directory with more room that you may write to", what, directory_.string(),
       std::strerror(reason));
}

}  // namespace megin::text
