// Self-attention of Transformer-XL (Dai et al. 2019, section 3.3): a token looks at itself, at those before
// it in its segment and at those that are remembered from the segments before, by what they are and how far
// away they are. With query q_i, key k_j and R_n the projected vector of distance n, the score is
// ((q_i + u) k_j + (q_i + v) R_{i-j}) / sqrt(head width). No biases but u and v, which all layers share.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "config/model_config.h"
#include "net/attention.h"
#include "net/forward_context.h"
#include "net/parameters.h"

namespace megin::net {

class RelativeSelfAttention {
 public:
  // Uses prefix + "query_key_value.weight" and so on, and the stack's biases.
  RelativeSelfAttention(const ParameterMemory& parameters, const std::string& prefix,
                        const config::ModelConfig& config);

  struct Inputs {
    const at::Tensor& x;          // [sentences * length, d]
    BatchShape shape;             // sentences of all passes
    const at::Tensor& past;       // [sentences, remembered, d], what stood before; undefined: nothing
    const at::Tensor& distances;  // [passes, remembered + length, d]: row n of a pass is that of distance n
    Operations operations = {};
  };
  // Returns the shape of x. Rows of padding, which may stand at the end of a sentence only, are what nothing
  // reads. `probabilities` drops elements of the softmax.
  at::Tensor forward(const Inputs& inputs, const DropoutMask& probabilities) const;

 private:
  int64_t heads_;
  bool scaled_;
  at::Tensor projection_, distance_, output_;
  at::Tensor content_bias_, distance_bias_;  // u and v, [heads * head width]
};

}  // namespace megin::net
