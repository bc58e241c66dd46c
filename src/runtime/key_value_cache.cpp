#include "runtime/key_value_cache.h"

#include <algorithm>
#include <cassert>

namespace megin::runtime {

KeyValueCache::KeyValueCache(const AttentionShape& shape, int64_t layers, int64_t rows, int64_t max_positions)
    : shape_(shape),
      layers_(layers),
      rows_(rows),
      max_blocks_(blocks_for(max_positions)),
      table_(static_cast<size_t>(rows * max_blocks_)) {}

int32_t KeyValueCache::take_block() {
  if (free_.empty()) {
    free_.push_back(static_cast<int32_t>(pool_.size()));
    pool_.push_back({hwy::AllocateAligned<float>(static_cast<size_t>(block_floats())), 0});
  }
  const int32_t number = free_.back();
  free_.pop_back();
  pool_[static_cast<size_t>(number)].users = 1;
  return number;
}

void KeyValueCache::leave_block(int32_t number) {
  if (--pool_[static_cast<size_t>(number)].users == 0) free_.push_back(number);
}

void KeyValueCache::extend() {
  const int64_t index = length_ / kBlockPositions;
  const bool begins = length_ % kBlockPositions == 0;
  for (int64_t row = 0; row < rows_; ++row) {
    int32_t& last = entry(row, index);
    if (begins) {
      if (index >= max_blocks_) leave_block(last);  // the oldest stood there
      last = take_block();
    } else if (pool_[static_cast<size_t>(last)].users > 1) {
      const int32_t copy = take_block();
      Block& shared = pool_[static_cast<size_t>(last)];
      std::copy_n(shared.data.get(), block_floats(), pool_[static_cast<size_t>(copy)].data.get());
      --shared.users;
      last = copy;
    }
  }
  ++length_;
}

void KeyValueCache::reorder(std::span<const int64_t> from) {
  const int64_t used = std::min(blocks_for(length_), max_blocks_);
  std::swap(table_, old_table_);
  table_.resize(from.size() * static_cast<size_t>(max_blocks_));
  for (size_t i = 0; i < from.size(); ++i) {
    assert(from[i] >= 0 && from[i] < rows_);
    const int32_t* row = old_table_.data() + from[i] * max_blocks_;
    std::copy_n(row, used, table_.data() + static_cast<int64_t>(i) * max_blocks_);
    for (int64_t b = 0; b < used; ++b) ++pool_[static_cast<size_t>(row[b])].users;
  }
  for (int64_t row = 0; row < rows_; ++row) {
    for (int64_t b = 0; b < used; ++b) {
      leave_block(old_table_[static_cast<size_t>(row * max_blocks_ + b)]);
    }
  }
  rows_ = static_cast<int64_t>(from.size());
}

}  // namespace megin::runtime
