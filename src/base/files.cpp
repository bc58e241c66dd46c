#include "base/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "base/error.h"

namespace megin {
namespace fs = std::filesystem;
namespace {

std::string reason() {
  return std::strerror(errno);
}

// A descriptor that closes itself.
class Descriptor {
 public:
  Descriptor(const fs::path& path, int flags, mode_t mode = 0644)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }

 private:
  int fd_;
};

Descriptor open_for_reading(const fs::path& path) {
  if (fs::is_directory(path)) fail("{}: wanted a file, found a directory", path.string());
  return Descriptor(path, O_RDONLY);
}

void require_open(const Descriptor& file, const fs::path& path) {
  if (!file.ok()) fail("{}: cannot open this file for reading: {}", path.string(), reason());
}

// Calls `use` with each piece of the file in turn.
template <typename Use>
void for_each_piece(const fs::path& path, Use use) {
  const Descriptor file = open_for_reading(path);
  require_open(file, path);
  std::array<char, 1 << 16> buffer;
  while (true) {
    const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("{}: cannot read: {}", path.string(), reason());
    if (got == 0) return;
    use(std::string_view(buffer.data(), static_cast<size_t>(got)));
  }
}

fs::path temporary_name(const fs::path& path) {
  fs::path name = path;
  name += fmt::format(".tmp-{}", ::getpid());
  return name;
}

fs::path parent_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

void write_all(const Descriptor& file, const fs::path& path, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(file.get(), bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail("{}: cannot write: {}; nothing was replaced", path.string(), reason());
    bytes.remove_prefix(static_cast<size_t>(put));
  }
}

}  // namespace

std::string read_file(const fs::path& path) {
  std::string bytes;
  for_each_piece(path, [&](std::string_view piece) { bytes += piece; });
  return bytes;
}

void write_file_atomically(const fs::path& path, std::string_view bytes) {
  write_file_atomically(path, std::span(&bytes, 1));
}

void write_file_atomically(const fs::path& path, std::span<const std::string_view> pieces) {
  const fs::path temporary = temporary_name(path);
  try {
    {
      const Descriptor file(temporary, O_WRONLY | O_CREAT | O_TRUNC);
      if (!file.ok()) fail("{}: cannot create this file: {}", path.string(), reason());
      for (const std::string_view piece : pieces) write_all(file, path, piece);
      if (::fsync(file.get()) != 0) fail("{}: cannot flush to the disk: {}", path.string(), reason());
    }
    if (::rename(temporary.c_str(), path.c_str()) != 0)
      fail("{}: cannot rename into place: {}", path.string(), reason());
    sync_path(parent_of(path));
  } catch (...) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw;
  }
}

void write_directory_atomically(const fs::path& path, const std::function<void(const fs::path&)>& fill,
                                bool replace) {
  if (fs::exists(path) && !replace)
    fail("{}: already exists; remove it or choose another name", path.string());
  const fs::path temporary = temporary_name(path);
  fs::path old;
  try {
    fs::remove_all(temporary);
    fs::create_directories(temporary);
    fill(temporary);
    for (const auto& entry : fs::recursive_directory_iterator(temporary)) sync_path(entry.path());
    sync_path(temporary);
    if (fs::exists(path)) {
      old = temporary;
      old += ".old";
      fs::rename(path, old);
    }
    fs::rename(temporary, path);
    sync_path(parent_of(path));
    if (!old.empty()) fs::remove_all(old);
  } catch (const fs::filesystem_error& error) {
    std::error_code ignored;
    if (!old.empty() && !fs::exists(path, ignored)) fs::rename(old, path, ignored);
    fs::remove_all(temporary, ignored);
    fail("{}: cannot write this directory: {}", path.string(), error.code().message());
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
    throw;
  }
}

void sync_path(const fs::path& path) {
  const Descriptor file(path, O_RDONLY);
  if (!file.ok() || ::fsync(file.get()) != 0)
    fail("{}: cannot flush to the disk: {}", path.string(), reason());
}

uint64_t checksum(std::string_view bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

uint64_t file_checksum(const fs::path& path) {
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), &XXH3_freeState);
  XXH3_64bits_reset(state.get());
  for_each_piece(
      path, [&](std::string_view piece) { XXH3_64bits_update(state.get(), piece.data(), piece.size()); });
  return XXH3_64bits_digest(state.get());
}

MappedFile::MappedFile(const fs::path& path) : path_(path) {
  const Descriptor file = open_for_reading(path);
  require_open(file, path);
  struct stat information {};
  if (::fstat(file.get(), &information) != 0) fail("{}: cannot read its size: {}", path.string(), reason());
  size_ = static_cast<size_t>(information.st_size);
  if (size_ == 0) return;
  void* data = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file.get(), 0);
  if (data == MAP_FAILED) fail("{}: cannot map this file: {}", path.string(), reason());
  data_ = static_cast<const std::byte*>(data);
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

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

}  // namespace megin
