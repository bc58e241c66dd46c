// Dense models into models of experts, and models of experts into dense ones (smoe_dropout spec 7.1, 7.2 and
// 7.7). Tensors in, tensors out; names and shapes are those of tensor_names.h.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/model_config.h"
#include "store/averaging.h"
#include "store/unit_activity.h"

namespace megin::store {

// How the hidden units of a feed-forward are shared out to experts of equal width.
//   contiguous  in their order
//   random      by hash
//   cluster     by what they look for: balanced k-means over the directions of the rows of fc1, or of a gated
//               activation's gate (Zhang et al. 2022, MoEfication, arXiv 2110.01786)
//   coactivation  by what they are active for: the graph of how often two are active together, cut into equal
//               parts so that little is cut (the same paper's co-activation graph, whose edges also weigh how
//               strongly; graph_partition.h)
//   copy        not at all: every expert is the whole feed-forward (sparse upcycling: Komatsuzaki et al.
//               2022, arXiv 2212.05055)
enum class ExpertSplit { kContiguous, kRandom, kCluster, kCoactivation, kCopy };
constexpr auto enum_names(ExpertSplit) {
  return std::array<std::string_view, 5>{"contiguous", "random", "cluster", "coactivation", "copy"};
}

// The values of a tensor by its name, row-major fp32, where they lie.
using TensorLookup = std::function<std::span<const float>(const std::string& name)>;

struct ConvertedModel {
  config::ModelConfig model;
  std::vector<FloatTensor> tensors;  // all of tensor_shapes(model), in that order
};

struct SplitOptions {
  int64_t experts = 8;
  ExpertSplit split = ExpertSplit::kContiguous;
  int64_t every = 1;  // as model.experts.every and offset: which layers
  int64_t offset = 0;
  uint64_t seed = 1;  // of the router, and of random and cluster
  // Of coactivation: of the hidden units of each layer, expert layer or not, encoder first.
  std::span<const UnitActivity> activity = {};
};

// Throws UsageError for a model that has experts or is a mixture, and for a width that N does not divide.
void check_split(const config::ModelConfig& dense, const SplitOptions& options);

// The feed-forwards of a dense model as N experts each, chosen by a fixed random router with equal shares
// (gate mean). With all N experts a token the model computes what it did: of a split, the rows of fc2 are
// multiplied by N, and every expert has the whole second bias, so that with k of them the sum over the units
// met is scaled by N / k (LLaMA-MoE's correction). Of copies, with any number: one is what they are given.
// Throws UsageError as check_split() does; Error where activity is wanted and of no token.
ConvertedModel split_into_experts(const config::ModelConfig& dense, const TensorLookup& tensors,
                                  const SplitOptions& options);

// One expert of each expert layer, path as config::Dispatch has it, as a dense model that computes what the
// path does. Throws UsageError where there are no experts, their outputs are multiplied by gates, a shared
// expert is added, or where layers would have feed-forwards of different widths.
ConvertedModel take_path(const config::ModelConfig& model, const TensorLookup& tensors,
                         std::span<const int64_t> path);

// The mean of the experts' parameters in each layer as one feed-forward. The same refusals.
ConvertedModel take_mean(const config::ModelConfig& model, const TensorLookup& tensors);

// All experts side by side as one feed-forward of their widths together: what the model computes when every
// token meets all of them with equal shares. Undoes split_into_experts(), up to the order of hidden units.
// Throws UsageError for another gate than mean.
ConvertedModel take_all(const config::ModelConfig& model, const TensorLookup& tensors);

}  // namespace megin::store
