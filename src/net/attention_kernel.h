// Attention of one head of one sentence, by rows in plain memory. For fused_attention.cpp only.
#pragma once

#include <cstdint>

namespace megin::net {

// Rows of one head: element (t, i) is data[t * stride + i].
struct HeadRows {
  float* data = nullptr;
  int64_t stride = 0;
};

struct HeadShape {
  int64_t queries = 0;  // real ones
  int64_t keys = 0;     // real ones
  int64_t width = 0;    // of the head
  int64_t row = 0;      // stride of the probabilities: attention_row of at least `keys`
  bool causal = false;  // the queries are the last of the keys, and see none behind themselves
  bool relative = false;
  float scale = 1;  // of the scores
};

// `distance_query` and `distances` of relative attention only, which is causal: query i and key j have the
// score query_i key_j + distance_query_i distances_n at n = keys - queries + i - j.
struct Head {
  HeadRows query, key, value, output;
  HeadRows distance_query = {}, distances = {};  // [queries], [keys]
  float* probabilities = nullptr;                // [queries, row]
  // Added to the scores: element s - t for query t and key s, negative ones too; null: nothing is.
  const float* position_bias = nullptr;
};

struct HeadGradients {
  HeadRows query, key, value;  // written
  HeadRows distance_query = {}, distances = {};
  HeadRows output;                 // read
  float* position_bias = nullptr;  // added to, where there is one: as of Head
};

// The length of a row of probabilities: whole vectors of any instruction set. Elements beyond the keys are
// zero.
int64_t attention_row(int64_t keys);

// Floats of scratch memory that either function needs.
int64_t attention_scratch(const HeadShape& shape);

void attend_head(const Head& head, const HeadShape& shape, float* scratch);
void attend_head_backward(const Head& head, const HeadGradients& gradients, const HeadShape& shape,
                          float* scratch);

}  // namespace megin::net
