// Sentence pairs put by on the disk between two steps of preparing: written once, read any number of times.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "text/temporary_file.h"

namespace megin::data {

struct SpooledPair {
  std::string source;
  std::string target;
  uint32_t corpus = 0;
};

// A nameless file, gone with the object. Not for two threads at once. Memory: one buffer of 256 KiB. Throws
// Error when the disk is full.
class PairSpool {
 public:
  explicit PairSpool(const std::filesystem::path& directory) : file_(directory) {}

  void add(const SpooledPair& pair);
  void flush();  // before reading
  uint64_t size() const { return size_; }

 private:
  friend class SpoolReader;
  text::TemporaryFile file_;
  std::vector<std::byte> unwritten_;
  uint64_t size_ = 0;
};

// Reads a flushed spool from its start. Memory: one buffer, which grows to the longest pair.
class SpoolReader {
 public:
  explicit SpoolReader(const PairSpool& spool) : spool_(spool) {}

  // The next pair; false at the end.
  bool next(SpooledPair& pair);

 private:
  bool fill(size_t wanted);

  const PairSpool& spool_;
  uint64_t offset_ = 0;  // in the file, of the end of the buffer
  std::vector<std::byte> buffer_;
  size_t begin_ = 0;
};

}  // namespace megin::data
