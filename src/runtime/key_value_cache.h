// Keys and values of the tokens decoded so far, for all layers and rows. A row's past is a list of blocks of
// 16 positions; rows with a common past share its blocks, so that reordering beams moves numbers, not
// floats. Only a block that is still being filled is copied, and only when two rows go on from it.
// (The paged cache of Kwon et al. 2023, arXiv 2309.06180, with copy on write.)
#pragma once

#include <hwy/aligned_allocator.h>

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/attention.h"

namespace megin::runtime {

// For one thread. Memory: at most rows * blocks_for(max_positions) blocks of layers * shape.block_floats()
// floats.
class KeyValueCache {
 public:
  // A past longer than `max_positions` loses its oldest blocks: of any length, the last max_positions -
  // kBlockPositions + 1 positions are there.
  KeyValueCache(const AttentionShape& shape, int64_t layers, int64_t rows, int64_t max_positions);

  int64_t rows() const { return rows_; }
  int64_t length() const { return length_; }  // positions that each row has

  // Makes room for one more position in each row: length() grows by one and the last block of every row
  // belongs to that row alone. Allocates when a block begins (every 16th time) or is shared, and no block is
  // free from before.
  void extend();

  // Block `index` of a row's past in a layer, counted from its beginning. Writable for the last one only,
  // after extend().
  float* block(int64_t row, int64_t layer, int64_t index) {
    return pool_[static_cast<size_t>(entry(row, index))].data.get() + layer * shape_.block_floats();
  }

  // Row i becomes what row from[i] was; the number of rows becomes from.size().
  void reorder(std::span<const int64_t> from);

 private:
  struct Block {
    hwy::AlignedFreeUniquePtr<float[]> data;
    int64_t users = 0;
  };

  int32_t take_block();
  void leave_block(int32_t number);
  int32_t& entry(int64_t row, int64_t index) {
    return table_[static_cast<size_t>(row * max_blocks_ + index % max_blocks_)];
  }
  int64_t block_floats() const { return layers_ * shape_.block_floats(); }

  AttentionShape shape_;
  int64_t layers_;
  int64_t rows_;
  int64_t max_blocks_;
  int64_t length_ = 0;
  std::vector<Block> pool_;
  std::vector<int32_t> free_;
  std::vector<int32_t> table_;  // [rows, max_blocks]: numbers in the pool; block i stands at i % max_blocks
  std::vector<int32_t> old_table_;  // of reorder
};

}  // namespace megin::runtime
