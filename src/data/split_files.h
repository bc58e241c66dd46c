// The files of one split while they are written: shards one after another, and the text beside them.
#pragma once

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>

#include "data/shard.h"

namespace megin::data {

// Small, since the tables of the shard that is being written are all that grows in memory.
inline constexpr int64_t kShardBytes = int64_t{32} << 20;

// Writes examples front to back; a new shard begins above `shard_bytes`. Throws Error when the disk is full.
class ShardSequence {
 public:
  ShardSequence(std::filesystem::path folder, std::string split, int64_t shard_bytes = kShardBytes);

  void add(const Example& example);

  // Ends the last shard and gives the number of all. Call it once.
  uint64_t finish();

 private:
  std::filesystem::path folder_;
  std::string split_;
  int64_t shard_bytes_;
  std::optional<ShardWriter> shard_;
  uint64_t shards_ = 0;
};

// Text beside the shards. finish() throws Error when not all of it could be written.
class TextFile {
 public:
  explicit TextFile(const std::filesystem::path& path) : path_(path), out_(path, std::ios::binary) {}
  void add(std::string_view bytes) { out_ << bytes; }
  void add_line(std::string_view line) { out_ << line << '\n'; }
  void finish();

 private:
  std::filesystem::path path_;
  std::ofstream out_;
};

}  // namespace megin::data
