// Tokens to hidden states: sqrt(d) times their embedding (model.scale_embeddings) plus positions, normed
// where an encoder does that (model.norm_embeddings), then dropout (thor spec 3.2).
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>

#include "config/model_config.h"
#include "net/forward_context.h"
#include "net/norm.h"
#include "net/parameters.h"

namespace megin::model {

class TokenEmbedding {
 public:
  // weight: the name of the [V, d] table.
  TokenEmbedding(const net::ParameterMemory& parameters, const std::string& weight, config::Stack stack,
                 const config::ModelConfig& config);

  // ids: [sentences, length], int64, right-padded. noise: [sentences, length, d], added to the vectors of the
  // table, or undefined. first: [sentences, d], stand in place of the first position's vectors, or undefined.
  // Returns [sentences * length, d]; rows of padding are zero.
  at::Tensor forward(const at::Tensor& ids, const net::ForwardContext& context, const at::Tensor& noise = {},
                     const at::Tensor& first = {}) const;

 private:
  const config::ModelConfig& config_;
  config::Stack stack_;
  at::Tensor weight_;
  at::Tensor positions_;  // [max_length, d]; undefined where attention tells positions
  std::optional<net::Norm> norm_;
};

}  // namespace megin::model
