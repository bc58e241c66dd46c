// Where a command writes its result: standard output, or a file that appears whole or not at all.
#pragma once

#include <filesystem>
#include <fstream>
#include <ostream>
#include <string>

namespace megin::cli {

// While open, lines of a file go to a temporary one beside it; without commit() nothing remains of it.
class OutputFile {
 public:
  // An empty path or "-": standard output.
  OutputFile(const std::string& path, std::ostream& standard_output);
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile();

  std::ostream& stream() { return file_.is_open() ? file_ : standard_output_; }

  // Hands out what was written so far. Throws Error when it cannot be written (full disk).
  void flush();

  // Makes the file appear under its name. Throws Error as flush().
  void commit();

 private:
  std::filesystem::path path_, temporary_;
  std::ostream& standard_output_;
  std::ofstream file_;
};

}  // namespace megin::cli
