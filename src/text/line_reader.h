// Lines of a text file (plain, .gz or .zst), with their numbers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "text/byte_stream.h"

namespace megin::text {

// Streams lines. A line ends in \n or \r\n, neither of which is part of it; the last one may lack its end. A
// UTF-8 byte order mark at the start of the file is skipped. Bytes are handed out as they stand: whether they
// are valid UTF-8 is the caller's question (text/unicode.h). Memory: one buffer and one line.
class LineReader {
 public:
  static constexpr size_t kMaxLineBytes = 1 << 20;

  // Throws Error when the file cannot be opened.
  explicit LineReader(const std::filesystem::path& path, size_t max_line_bytes = kMaxLineBytes);

  // Puts the next line into `line` and returns true; false at the end. Throws Error, with file and line, for
  // a line longer than the limit, for UTF-16 (with the command that converts it) and for damaged
  // compressed data.
  bool next(std::string& line);

  // Number of the line that next() gave last, from 1; 0 before the first.
  uint64_t line_number() const { return line_number_; }

  // "file:line" of the line that next() gave last.
  std::string where() const;

  const std::filesystem::path& path() const { return stream_->path(); }

 private:
  bool fill();
  void skip_byte_order_mark();

  std::unique_ptr<ByteStream> stream_;
  std::vector<char> buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t max_line_bytes_;
  uint64_t line_number_ = 0;
};

}  // namespace megin::text
