// Multi-head scaled dot-product attention (Vaswani et al. 2017, section 3.2), softmax in fp32, optionally
// with rotary positions (Su et al. 2021) or a bias by distance (Raffel et al. 2020) in self-attention, and
// without the scale (model.scale_attention).
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>

#include "config/model_config.h"
#include "net/forward_context.h"
#include "net/fused_attention.h"
#include "net/parameters.h"

namespace megin::net {

// A batch's rows: hidden states are [sentences * length, d], sentence after sentence.
struct BatchShape {
  int64_t sentences = 0;
  int64_t length = 0;
};

class SelfAttention {
 public:
  // Uses prefix + "query_key_value.weight" and so on.
  SelfAttention(const ParameterMemory& parameters, const std::string& prefix,
                const config::ModelConfig& config);

  // mask: added to the scores, broadcast to [sentences, heads, length, length] (0 where a position may be
  // seen, -inf where not); fused: the same as lengths, null for the plain form. The fused form serves where
  // there is neither rotation nor dropout of probabilities; rows of padding then differ, which nothing reads.
  struct Inputs {
    const at::Tensor& x;  // [sentences * length, d]
    BatchShape shape;
    const at::Tensor& mask;
    std::shared_ptr<const FusedAttentionShape> fused = nullptr;
    Operations operations = {};
    // [heads, 2 length - 1], added to the scores: element length - 1 + n of keys n behind their query (n < 0:
    // before it); undefined: nothing is.
    at::Tensor position_bias = {};
  };
  // Returns the shape of x.
  at::Tensor forward(const Inputs& inputs, const DropoutMask& probabilities) const;

 private:
  int64_t heads_;
  double scale_;
  bool rotary_;
  at::Tensor projection_weight_, projection_bias_;
  at::Tensor output_weight_, output_bias_;
};

class CrossAttention {
 public:
  // Uses prefix + "query.weight", prefix + "key_value.weight" and so on.
  CrossAttention(const ParameterMemory& parameters, const std::string& prefix,
                 const config::ModelConfig& config);

  // x: [sentences * length, d]; memory: [sentences * memory_length, d], the encoder's output; mask: broadcast
  // to [sentences, heads, length, memory_length]. Returns the shape of x.
  struct Inputs {
    const at::Tensor& x;
    BatchShape shape;
    const at::Tensor& memory;
    int64_t memory_length;
    const at::Tensor& mask;
    std::shared_ptr<const FusedAttentionShape> fused = nullptr;
    Operations operations = {};
  };
  at::Tensor forward(const Inputs& inputs, const DropoutMask& probabilities) const;

 private:
  int64_t heads_;
  double scale_;
  at::Tensor query_weight_, query_bias_;
  at::Tensor key_value_weight_, key_value_bias_;
  at::Tensor output_weight_, output_bias_;
};

}  // namespace megin::net
