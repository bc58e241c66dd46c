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
  int64_t queries = 0;                 // positions of the query side, padding included
  int64_t keys = 0;                    // positions of the key side, padding included
  bool causal = false;                 // query t sees keys 0 to t
  std::vector<int64_t> query_lengths;  // [sentences] not padding
  std::vector<int64_t> key_lengths;    // [sentences] not padding
};

// projected: [sentences * length, 3 d], rows query, key, value. Returns [sentences * length, d].
// Differentiable.
at::Tensor fused_self_attention(const at::Tensor& projected,
                                const std::shared_ptr<const FusedAttentionShape>& shape);

// query: [sentences * queries, d]; key_value: [sentences * keys, 2 d]. Returns [sentences * queries, d].
at::Tensor fused_cross_attention(const at::Tensor& query, const at::Tensor& key_value,
                                 const std::shared_ptr<const FusedAttentionShape>& shape);

}  // namespace megin::net
