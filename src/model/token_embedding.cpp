#include "model/token_embedding.h"

#include <ATen/ATen.h>

#include <cmath>

#include "net/dropout.h"
#include "net/positions.h"
#include "text/vocabulary.h"

namespace megin::model {

TokenEmbedding::TokenEmbedding(const net::ParameterMemory& parameters, const std::string& weight,
                               config::Stack stack, const config::ModelConfig& config)
    : config_(config), stack_(stack), weight_(parameters.get(weight)) {
  switch (config.positions) {
    case config::Positions::kSinusoidal:
      positions_ = net::sinusoidal_positions(config.max_length, config.width);
      break;
    case config::Positions::kLearned:
      positions_ = parameters.get(store::stack_name(stack) + ".positions.weight");
      break;
    case config::Positions::kRotary:
    case config::Positions::kRelative:
    case config::Positions::kBucketed:
      break;
  }
  if (config.norm_embeddings && stack == config::Stack::kEncoder)
    norm_.emplace(parameters, "embedding_norm.", config);
}

at::Tensor TokenEmbedding::forward(const at::Tensor& ids, const net::ForwardContext& context,
                                   const at::Tensor& noise, const at::Tensor& first) const {
  at::Tensor x = at::embedding(weight_, ids, text::kPadId);
  if (first.defined()) x = at::cat({first.unsqueeze(1), x.slice(1, 1)}, 1);
  if (noise.defined()) x = x + noise;
  if (config_.scale_embeddings) x = x * std::sqrt(static_cast<double>(config_.width));
  if (positions_.defined()) x = x + positions_.narrow(0, 0, ids.size(1));
  if (norm_) x = norm_->forward(x.view({-1, config_.width}), context.operations).view(x.sizes());
  x = x * ids.ne(text::kPadId).to(at::kFloat).unsqueeze(-1);
  const net::DropoutSite site{.stack = stack_, .layer = 0, .place = net::DropoutSite::kEmbedding};
  return net::dropout(x.view({-1, config_.width}), net::dropout_mask(context, config_.dropout, site));
}

}  // namespace megin::model
