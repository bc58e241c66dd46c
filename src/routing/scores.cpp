#include "routing/scores.h"

#include <ATen/ATen.h>

#include <cmath>

#include "base/random.h"
#include "matrix/highest.h"

namespace megin::routing {

uint64_t routing_key(const RouteRequest& request, uint64_t use) {
  const net::ForwardContext& context = request.context;
  return draw_key(context.seed, Purpose::kRouting,
                  {use, context.update, context.micro_batch, static_cast<uint64_t>(context.first_pass),
                   static_cast<uint64_t>(request.stack), static_cast<uint64_t>(request.layer)});
}

at::Tensor jittered(const at::Tensor& x, double jitter, const RouteRequest& request) {
  if (jitter <= 0 || !request.context.training) return x;
  constexpr uint64_t kJitter = 1;
  const uint64_t key = routing_key(request, kJitter);
  at::Tensor factors = at::empty_like(x);
  float* const to = factors.data_ptr<float>();
  for (int64_t i = 0; i < factors.numel(); ++i) {
    to[i] = static_cast<float>(1.0 + jitter * (2.0 * draw_uniform(key, static_cast<uint64_t>(i)) - 1.0));
  }
  return x * factors;
}

at::Tensor highest(const at::Tensor& values, int64_t k) {
  const at::Tensor from = values.detach().contiguous();
  const int64_t rows = from.size(0), experts = from.size(1);
  const at::Tensor chosen = at::empty({rows, k}, at::kLong);
  for (int64_t row = 0; row < rows; ++row) {
    matrix::choose_highest({from.data_ptr<float>() + row * experts, static_cast<size_t>(experts)},
                           {chosen.data_ptr<int64_t>() + row * k, static_cast<size_t>(k)});
  }
  return chosen;
}

at::Tensor gates_of(const at::Tensor& scores, const at::Tensor& chosen, config::Gate gate) {
  switch (gate) {
    case config::Gate::kSoftmax:
      return at::softmax(scores, -1).gather(1, chosen);
    case config::Gate::kSoftmaxOfChosen:
      return at::softmax(scores.gather(1, chosen), -1);
    case config::Gate::kSigmoid: {
      const at::Tensor gates = at::sigmoid(scores.gather(1, chosen));
      return chosen.size(1) == 1 ? gates : gates / gates.sum(-1, true);
    }
    case config::Gate::kNone:
      return {};
    case config::Gate::kMean:
      return at::full(chosen.sizes(), 1.0 / static_cast<double>(chosen.size(1)), at::kFloat);
  }
  __builtin_unreachable();
}

namespace {

// How often each expert was chosen, [N], fp32.
at::Tensor loads(const at::Tensor& chosen, int64_t experts) {
  const at::Tensor load = at::zeros({experts}, at::kFloat);
  for (int64_t i = 0; i < chosen.numel(); ++i) ++load.data_ptr<float>()[chosen.data_ptr<int64_t>()[i]];
  return load;
}

}  // namespace

RouteLosses route_losses(const at::Tensor& scores, const at::Tensor& chosen,
                         const config::RoutingConfig& weights) {
  RouteLosses losses;
  if (scores.size(0) == 0) return losses;
  const int64_t experts = scores.size(1);
  if (weights.balance > 0) {
    const at::Tensor share = loads(chosen, experts) / static_cast<double>(chosen.numel());
    const at::Tensor probability = at::softmax(scores, -1).mean(0);
    losses.balance = (share * probability).sum() * static_cast<double>(experts);
  }
  if (weights.z_loss > 0) losses.z = at::logsumexp(scores, -1).square().mean();
  return losses;
}

RouteStatistics route_statistics(const at::Tensor& scores, const at::Tensor& chosen) {
  const int64_t rows = scores.size(0), experts = scores.size(1);
  const at::Tensor probabilities = at::softmax(scores.detach(), -1);
  const float* const p = probabilities.data_ptr<float>();
  const int64_t* const choice = chosen.data_ptr<int64_t>();
  RouteStatistics statistics{.load = std::vector<int64_t>(static_cast<size_t>(experts)), .routed = rows};
  for (int64_t i = 0; i < chosen.numel(); ++i) ++statistics.load[static_cast<size_t>(choice[i])];
  for (int64_t row = 0; row < rows; ++row) {
    statistics.confidence += p[row * experts + choice[row * chosen.size(1)]];
    for (int64_t e = 0; e < experts; ++e) {
      const double share = p[row * experts + e];
      if (share > 0) statistics.entropy -= share * std::log(share);
    }
  }
  return statistics;
}

at::Tensor for_all_rows(const at::Tensor& chosen, std::span<const int64_t> rows, int64_t count) {
  if (static_cast<int64_t>(rows.size()) == count) return chosen;
  const int64_t k = chosen.size(1);
  const at::Tensor all = at::full({count, k}, Route::kNoExpert, at::kLong);
  for (size_t i = 0; i < rows.size(); ++i) {
    for (int64_t c = 0; c < k; ++c) {
      all.data_ptr<int64_t>()[rows[i] * k + c] = chosen.data_ptr<int64_t>()[static_cast<int64_t>(i) * k + c];
    }
  }
  return all;
}

at::Tensor sentence_means(const at::Tensor& x, int64_t length, std::span<const int64_t> lengths) {
  const int64_t sentences = x.size(0) / length;
  const at::Tensor weight = at::zeros({sentences, length, 1}, at::kFloat);
  for (int64_t s = 0; s < sentences; ++s) {
    const int64_t real = lengths.empty() ? length : lengths[static_cast<size_t>(s)];
    for (int64_t t = 0; t < real; ++t) {
      weight.data_ptr<float>()[s * length + t] = 1.0f / static_cast<float>(real);
    }
  }
  return (x.view({sentences, length, x.size(1)}) * weight).sum(1);
}

}  // namespace megin::routing
