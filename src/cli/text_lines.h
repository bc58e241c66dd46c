// The lines of a file or of standard input, each checked to be UTF-8.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>

#include "text/line_reader.h"

namespace megin::cli {

class TextLines {
 public:
  // `path` - is standard input. Throws Error when the file cannot be opened.
  TextLines(const std::string& path, std::istream& standard_input);

  // Puts the next line into `line` and returns true; false at the end. Throws Error, with file, line and
  // byte, for text that is not UTF-8.
  bool next(std::string& line);

  bool is_standard_input() const { return !file_; }
  std::string name() const { return file_ ? file_->path().string() : "standard input"; }
  uint64_t lines() const { return lines_; }

 private:
  std::istream& standard_input_;
  std::optional<text::LineReader> file_;
  uint64_t lines_ = 0;
};

}  // namespace megin::cli
