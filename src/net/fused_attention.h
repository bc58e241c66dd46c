// Scaled dot-product attention of sentence-length inputs as one operation: scores, mask, softmax and the
// mixing of values, forward and backward, head by head in the cache. The plain form of net/attention.cpp is
// its twin. Padding is not computed: its rows of the output and of the gradients are zero.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace megin::net {

struct FusedAttentionShape {
  int64_t sentences = 0;
  int64_t heads = 0;
  int64_t queries = 0;                      // positions of the query side, padding included
  int64_t keys = 0;                         // positions of the key side, padding included
  bool causal = false;                      // query t sees keys 0 to keys - queries + t
  bool relative = false;                    // set by fused_relative_attention
  bool scaled = true;                       // scores are divided by the root of the head's width
  std::vector<int64_t> query_lengths = {};  // [sentences] not padding
  std::vector<int64_t> key_lengths = {};    // [sentences] not padding
};

// projected: [sentences * length, 3 d], rows query, key, value; position_bias: [heads, 2 length - 1], what is
// added to scores by the key's offset from its query (net/attention.h), or undefined. Returns
// [sentences * length, d]. Differentiable in both.
at::Tensor fused_self_attention(const at::Tensor& projected, const at::Tensor& position_bias,
                                const std::shared_ptr<const FusedAttentionShape>& shape);

// query: [sentences * queries, d]; key_value: [sentences * keys, 2 d]. Returns [sentences * queries, d].
at::Tensor fused_cross_attention(const at::Tensor& query, const at::Tensor& key_value,
                                 const std::shared_ptr<const FusedAttentionShape>& shape);

// Of relative positions (net/relative_attention.h), causal and without padding: of the shape sentences,
// heads, queries, keys and scaled are read. content_query and distance_query: [sentences * queries, d], the
// query with u and with v; key_value: [sentences * keys, 2 d]; distances: [passes * keys, d], row n of a pass
// that of distance n, shared by the sentences / passes sentences of the pass. Returns [sentences * queries,
// d].
struct RelativeInputs {
  const at::Tensor& content_query;
  const at::Tensor& distance_query;
  const at::Tensor& key_value;
  const at::Tensor& distances;
};
at::Tensor fused_relative_attention(const RelativeInputs& inputs, FusedAttentionShape shape);

}  // namespace megin::net
