// A layer of experts that stands between two others: an expert is a stack of residual feed-forwards,
// x <- x + W2 act(W1 norm(x)), and a gate mixes its output with its input (BASE: Lewis et al. 2021;
// StableMoE: Dai et al. 2022, eq. 7 and 14).
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "config/model_config.h"
#include "net/feed_forward.h"
#include "net/norm.h"
#include "routing/route.h"

namespace megin::expert {

// The masks of all sublayers and experts, from which each takes one of its own.
struct ResidualDropout {
  net::DropoutMask output = {};      // of what a sublayer adds
  net::DropoutMask activation = {};  // inside its feed-forward
};

class ResidualExperts {
 public:
  // Uses prefix + "0.norm.weight" [N, d], prefix + "0.fc1.weight" [N, f, d] and so on; without the dimension
  // of experts where there is one.
  ResidualExperts(const net::ParameterMemory& parameters, const std::string& prefix,
                  const config::ModelConfig& config);

  // x: [tokens, d], fp32. Returns [tokens, d]: g E(x) + (1 - g) x, summed over a token's choices as
  // x + sum g (E(x) - x); x itself for a token without an expert; a shared expert S adds S(x) - x. Runs no
  // expert that the route does not use. The masks of a route by token lie over the rows as grouped.
  at::Tensor forward(const at::Tensor& x, const routing::Route& route, const ResidualDropout& dropout,
                     net::Operations operations) const;

  // Of one expert, which all tokens meet.
  at::Tensor forward_one(const at::Tensor& x, int64_t expert, const ResidualDropout& dropout,
                         net::Operations operations) const;

 private:
  struct Sublayer {
    net::Norm norm;
    net::FeedForward feed_forward;
  };

  using Expert = std::vector<Sublayer>;

  at::Tensor run(const Expert& expert, const at::Tensor& x, const ResidualDropout& dropout,
                 net::Operations operations) const;
  at::Tensor forward_routed(const at::Tensor& x, const routing::Route& route, const ResidualDropout& dropout,
                            net::Operations operations) const;
  at::Tensor forward_uniform(const at::Tensor& x, const routing::Route& route, const ResidualDropout& dropout,
                             net::Operations operations) const;
  at::Tensor forward_grouped(const at::Tensor& x, const routing::Route& route, const ResidualDropout& dropout,
                             net::Operations operations) const;
  at::Tensor forward_all(const at::Tensor& x, const routing::Route& route, const ResidualDropout& dropout,
                         net::Operations operations) const;

  std::vector<Expert> experts_;
  Expert shared_;  // no sublayers: there is none
};

}  // namespace megin::expert
