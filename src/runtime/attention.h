// Attention of one query over keys and values that lie in blocks of 16 positions. Encoder, decoder self- and
// cross-attention all use this one kernel: the blocks are what differs.
//
// Block: keys [heads][head_width][16], so that 16 scores grow side by side, then values [16][width]. A result
// depends on the query and the `length` first positions only: there is no padding and no mask, so that a
// sentence's numbers do not know what else is in the batch.
#pragma once

#include <cstdint>
#include <span>

namespace megin::runtime {

inline constexpr int64_t kBlockPositions = 16;

struct AttentionShape {
  int64_t heads = 1;
  int64_t head_width = 1;
  bool scaled = true;  // whether scores are divided by the root of head_width

  int64_t width() const { return heads * head_width; }
  int64_t block_floats() const { return 2 * kBlockPositions * width(); }
};

// Number of blocks for so many positions.
constexpr int64_t blocks_for(int64_t positions) {
  return (positions + kBlockPositions - 1) / kBlockPositions;
}

// Writes a vector, [width], as the keys of one position of a block.
void store_keys(const AttentionShape& shape, const float* key, int64_t slot, float* block);

// Writes key and value, [width] each, of one position of a block; 0 <= slot < kBlockPositions.
void store_position(const AttentionShape& shape, const float* key, const float* value, int64_t slot,
                    float* block);

// What relative positions add (Dai et al. 2019): the distance n of a key has the vector R_n.
struct DistanceTerms {
  const float* query = nullptr;  // [width]: the query with the bias v; null: there are no such terms
  // Of distances, in blocks as keys are: the keys of block_floats(), without values.
  const float* vectors = nullptr;
  float* scores = nullptr;  // scratch, kBlockPositions * blocks_for(length) floats
};

// What bucketed positions add: position j of the blocks has bias[h * stride + j] for head h.
struct PositionTerms {
  const float* bias = nullptr;  // null: there are no such terms
  int64_t stride = 0;
};

struct AttentionCall {
  const float* query;                    // [width]; scaled here by head_width^-1/2, unless the shape says no
  std::span<const float* const> blocks;  // at least blocks_for(length)
  int64_t length;                        // positions in the blocks; the last is the query's own
  float* scores;                         // scratch, kBlockPositions * blocks_for(length) floats
  float* context;                        // result, [width]
  int64_t skipped = 0;                   // of the first positions, to which it does not attend; < length
  DistanceTerms distances = {};
  PositionTerms positions = {};
};

// context = softmax((query keys^T + distance terms) / sqrt(head_width) + position terms) values, each head on
// its own, all in fp32. With distance terms position j of the blocks is length - 1 - j away.
void attend(const AttentionShape& shape, const AttentionCall& call);

}  // namespace megin::runtime
