// The routers of the reference model.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/random.h"
#include "runtime/reference_model.h"

namespace megin::runtime {
namespace {

std::vector<double> mean_of(const Matrix& rows) {
  std::vector<double> mean(rows[0].size());
  for (const auto& row : rows) {
    for (size_t c = 0; c < mean.size(); ++c) mean[c] += row[c] / static_cast<double>(rows.size());
  }
  return mean;
}

}  // namespace

// The experts with the highest of as many draws U(0, 1) as there are experts (config::draw_experts), weighted
// by a softmax over these draws or alike.
std::vector<double> ReferenceModel::several_drawn(const config::TokenPlace& token) const {
  const config::ExpertConfig& experts = config_.experts;
  const auto count = static_cast<size_t>(experts.count), k = static_cast<size_t>(experts.active);
  std::vector<int64_t> chosen(k);
  std::vector<float> gates(k);
  config::draw_experts(dispatch_, token, experts, {.experts = chosen, .gates = gates});
  std::vector<double> weights(count, 0.0);
  for (size_t c = 0; c < k; ++c) weights[static_cast<size_t>(chosen[c])] = gates[c];
  return weights;
}

std::vector<double> ReferenceModel::weights_of_position(size_t position, const std::string& prefix) const {
  const auto k = static_cast<size_t>(config_.experts.active);
  std::vector<double> weights(static_cast<size_t>(config_.experts.count), 0.0);
  for (const float expert : tensors_(prefix + "router.table").subspan(position * k, k)) {
    weights[static_cast<size_t>(expert)] += 1.0 / static_cast<double>(k);
  }
  return weights;
}

// What the experts add together, by the scale of their number.
Matrix ReferenceModel::scaled(Matrix y, const std::string& prefix, const Place& place) const {
  if (!config_.experts.scales || !dispatch_.scaled) return y;
  const auto layer = static_cast<uint64_t>(config::expert_layer_number(config_, place.stack, place.layer));
  const int64_t active = config::active_experts(dispatch_, config_.experts, layer);
  const float scale = tensors_(prefix + "scale")[static_cast<size_t>(active - 1)];
  for (auto& row : y) {
    for (double& value : row) value *= scale;
  }
  return y;
}

std::vector<double> ReferenceModel::expert_weights(const Matrix& x, size_t t, const std::string& prefix,
                                                   const Place& place) const {
  std::vector<double> weights = gated_weights(x, t, prefix, place);
  for (double& weight : weights) {
    if (dispatch_.gate && weight != 0) weight = *dispatch_.gate;
  }
  return weights;
}

std::vector<double> ReferenceModel::gated_weights(const Matrix& x, size_t t, const std::string& prefix,
                                                  const Place& place) const {
  const int64_t count = config_.experts.count;
  if (dispatch_.mode == config::DispatchMode::kEnsemble)
    return std::vector<double>(static_cast<size_t>(count), 1.0 / static_cast<double>(count));
  if (dispatch_.mode == config::DispatchMode::kRouter) {
    if (config_.experts.router == config::RouterKind::kExpertChoice)
      return taken_by(x, t, prefix + "router.");
    const bool by_sentence = config_.experts.router == config::RouterKind::kSentence;
    const std::vector<double> input = by_sentence ? mean_of(place.memory ? *place.memory : x) : x[t];
    const auto layer = static_cast<uint64_t>(config::expert_layer_number(config_, place.stack, place.layer));
    if (config_.experts.hash == config::HashTable::kPosition) return weights_of_position(t, prefix);
    return routed_weights(input, prefix + "router.", place.symbols.first(t + 1),
                          static_cast<size_t>(config::active_experts(dispatch_, config_.experts, layer)));
  }
  const config::TokenPlace token{
      .sentence = place.sentence,
      .position = t,
      .stack = place.stack,
      .layer = static_cast<uint64_t>(place.layer),
      .expert_layer = static_cast<uint64_t>(config::expert_layer_number(config_, place.stack, place.layer))};
  if (config_.experts.active > 1 && dispatch_.mode != config::DispatchMode::kPath) {
    return several_drawn(token);
  }
  const auto drawn = static_cast<size_t>(config::draw_expert(dispatch_, token, count));
  if (!config::is_drawn(config_.experts.router)) {
    return routed_weights(x[t], prefix + "router.", place.symbols.first(t + 1), 1, drawn);
  }
  std::vector<double> weights(static_cast<size_t>(count), 0.0);
  weights[drawn] = 1.0;
  return weights;
}

// Of expert_choice: each expert's share of token t where t is among its tokens with the highest shares.
std::vector<double> ReferenceModel::taken_by(const Matrix& x, size_t t, const std::string& prefix) const {
  const auto count = static_cast<size_t>(config_.experts.count);
  const auto weight = tensors_(prefix + "weight");
  Matrix shares(x.size(), std::vector<double>(count));
  for (size_t row = 0; row < x.size(); ++row) {
    double total = 0;
    for (size_t e = 0; e < count; ++e) {
      for (size_t c = 0; c < x[row].size(); ++c) shares[row][e] += weight[e * x[row].size() + c] * x[row][c];
      total += shares[row][e] = std::exp(shares[row][e]);
    }
    for (double& share : shares[row]) share /= total;
  }
  const int64_t taken = config::tokens_of_expert(config_.experts, static_cast<int64_t>(x.size()));
  std::vector<double> weights(count, 0.0);
  for (size_t e = 0; e < count; ++e) {
    int64_t better = 0;
    for (size_t row = 0; row < x.size(); ++row) better += shares[row][e] > shares[t][e];
    if (better < taken) weights[e] = shares[t][e];
  }
  return weights;
}

std::vector<double> ReferenceModel::routed_weights(const std::vector<double>& input,
                                                   const std::string& prefix,
                                                   std::span<const int32_t> symbols_so_far, size_t active,
                                                   std::optional<size_t> drawn) const {
  using config::Gate, config::RouterKind;
  const config::ExpertConfig& experts = config_.experts;
  const auto count = static_cast<size_t>(experts.count);
  std::vector<double> scores(count), shares(count), merit(count);
  double total = 0;
  for (size_t e = 0; e < count && experts.router != RouterKind::kHash; ++e) {
    const auto weight = tensors_(prefix + "weight");
    for (size_t c = 0; c < input.size(); ++c) scores[e] += weight[e * input.size() + c] * input[c];
    total += std::exp(scores[e]);
  }
  const auto sigmoid = [](double score) { return 1 / (1 + std::exp(-score)); };
  for (size_t e = 0; e < count; ++e) {
    shares[e] = std::exp(scores[e]) / total;
    merit[e] = scores[e];
    if (experts.biased) {
      merit[e] =
          (experts.gate == Gate::kSigmoid ? sigmoid(scores[e]) : shares[e]) + tensors_(prefix + "bias")[e];
    }
    if (experts.router == RouterKind::kHash) {
      const auto symbol = static_cast<size_t>(symbols_so_far.back());
      merit[e] = tensors_(prefix + "table")[symbol] == static_cast<float>(e) ? 1 : 0;
    }
    if (experts.router == RouterKind::kDistilled) {
      merit[e] = 0;
      const auto symbols = tensors_(prefix + "symbols"), centres = tensors_(prefix + "centres");
      const auto width = static_cast<size_t>(experts.distilled_width);
      const auto reach = static_cast<size_t>(config::distilled_reach(experts.distilled_input));
      const bool cnn = experts.distilled_input == config::DistilledInput::kCnn;
      for (size_t back = 0; back < std::min(reach, symbols_so_far.size()); ++back) {
        const double share = cnn ? tensors_(prefix + "kernel")[back] : 1.0 / static_cast<double>(reach);
        const auto symbol = static_cast<size_t>(symbols_so_far[symbols_so_far.size() - 1 - back]);
        for (size_t c = 0; c < width; ++c) {
          merit[e] += share * symbols[symbol * width + c] * centres[e * width + c];
        }
      }
    }
  }
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::ranges::greater(), [&](size_t e) { return merit[e]; });
  order.resize(active);
  if (drawn) order = {*drawn};
  std::vector<double> weights(count, 0.0);
  double chosen_shares = 0, chosen_sigmoids = 0;
  for (const size_t e : order) {
    chosen_shares += std::exp(scores[e]);
    chosen_sigmoids += sigmoid(scores[e]);
  }
  for (const size_t e : order) {
    switch (experts.gate) {
      case Gate::kSoftmax:
        weights[e] = shares[e];
        break;
      case Gate::kSoftmaxOfChosen:
        weights[e] = std::exp(scores[e]) / chosen_shares;
        break;
      case Gate::kSigmoid:
        weights[e] = sigmoid(scores[e]) / (order.size() > 1 ? chosen_sigmoids : 1.0);
        break;
      case Gate::kNone:
        weights[e] = 1.0;
        break;
      case Gate::kMean:
        weights[e] = 1.0 / static_cast<double>(order.size());
        break;
    }
  }
  return weights;
}

}  // namespace megin::runtime
