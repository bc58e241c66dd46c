// Keeps two processes from writing into one directory.
#pragma once

#include <filesystem>

namespace megin {

// Holds the directory for this process until the object or the process ends, however it ends. Nothing is
// written for it (flock(2) on the directory itself). On file systems without locks it holds nothing, in
// silence.
class DirectoryLock {
 public:
  // Error when the directory cannot be opened, or when another process (or object) holds it.
  explicit DirectoryLock(const std::filesystem::path& directory);
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;
  ~DirectoryLock();

 private:
  int descriptor_;
};

}  // namespace megin
