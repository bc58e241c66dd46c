#include "data/split_files.h"

#include "base/error.h"
#include "data/example_set.h"

namespace megin::data {

ShardSequence::ShardSequence(std::filesystem::path folder, std::string split, int64_t shard_bytes)
    : folder_(std::move(folder)), split_(std::move(split)), shard_bytes_(shard_bytes) {}

void ShardSequence::add(const Example& example) {
  if (!shard_) shard_.emplace(shard_path(folder_, split_, static_cast<int64_t>(shards_++)));
  shard_->add(example);
  if (shard_->bytes() < shard_bytes_) return;
  shard_->finish();
  shard_.reset();
}

uint64_t ShardSequence::finish() {
  if (shard_) shard_->finish();
  shard_.reset();
  return shards_;
}

void TextFile::finish() {
  out_.close();
  if (!out_) fail("{}: cannot write this file; is the disk full?", path_.string());
}

}  // namespace megin::data
