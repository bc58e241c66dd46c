#include "cli/output_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/files.h"

namespace megin::cli {

OutputFile::OutputFile(const std::string& path, std::ostream& standard_output)
    : standard_output_(standard_output) {
  if (path.empty() || path == "-") return;
  path_ = path;
  temporary_ = path + fmt::format(".{}.partial", getpid());
  errno = 0;
  file_.open(temporary_, std::ios::binary | std::ios::trunc);
  if (!file_.is_open()) fail("{}: cannot be written: {}", path, std::strerror(errno));
}

OutputFile::~OutputFile() {
  if (!file_.is_open()) return;
  file_.close();
  std::error_code ignored;
  std::filesystem::remove(temporary_, ignored);
}

void OutputFile::flush() {
  errno = 0;
  stream().flush();
  if (!stream()) {
    fail("{}: cannot be written: {}; free space or write elsewhere",
         path_.empty() ? "standard output" : path_.string(),
         errno != 0 ? std::strerror(errno) : "unknown reason");
  }
}

void OutputFile::commit() {
  flush();
  if (!file_.is_open()) return;
  file_.close();
  sync_path(temporary_);
  std::filesystem::rename(temporary_, path_);
}

}  // namespace megin::cli
