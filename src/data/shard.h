// One file of examples, as docs/data_format.md describes it: mapped, each example found in O(1).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "base/files.h"

namespace megin::data {

// A sentence pair as token ids, without end marks.
struct Example {
  std::span<const int32_t> source;
  std::span<const int32_t> target;
  int32_t corpus = 0;  // number of the corpus it came from, from 0, in the order of the configuration
};

// Movable; safe to read from any number of threads.
class Shard {
 public:
  // Maps the file and checks its header, its size, and that every offset stays inside. Throws Error
  // naming the file and what is wrong with it.
  explicit Shard(const std::filesystem::path& path);

  int64_t size() const { return size_; }
  Example example(int64_t index) const;  // index in [0, size()); the spans live as long as the shard

  // Compares all bytes with the checksum in the header. Throws Error when they differ.
  void verify() const;

 private:
  MappedFile file_;
  int64_t size_ = 0;
  const uint64_t* offsets_ = nullptr;  // [size + 1], in tokens
  const uint32_t* entries_ = nullptr;  // [size, 2]: source length, corpus
  const int32_t* tokens_ = nullptr;
};

// Writes one shard, front to back. Memory: 16 bytes an example until finish(); tokens go to the disk at once.
class ShardWriter {
 public:
  // Creates the file. Throws Error when that cannot be done.
  explicit ShardWriter(const std::filesystem::path& path);
  ShardWriter(ShardWriter&&) noexcept;
  ShardWriter& operator=(ShardWriter&&) noexcept;
  ~ShardWriter();

  // Throws Error when the disk is full.
  void add(const Example& example);

  int64_t bytes() const;  // of the file when it is finished now

  // Writes the tables and the header; the file is whole only after this. Call it once.
  void finish();

 private:
  struct File;
  std::unique_ptr<File> file_;
};

}  // namespace megin::data
