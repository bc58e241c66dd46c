#include "store/kept_experts.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "config/enums.h"
#include "store/layer_tensors.h"

namespace megin::store {
namespace {

using config::Gate;
using config::ModelConfig;
using config::RouterKind;

void require_chosen_experts(const ModelConfig& model) {
  const config::ExpertConfig& experts = model.experts;
  if (config::count_expert_layers(model) == 0) fail_usage("wanted a model with experts, found a dense one");
  if (!config::has_scores(experts.router) || experts.router == RouterKind::kExpertChoice) {
    fail_usage(
        "wanted a model whose tokens choose experts by scores, found the router {}: no expert of it can be "
        "left out by votes",
        config::enum_name(experts.router));
  }
}

void require_gate_of_one(const config::ExpertConfig& experts) {
  if (experts.shared) {
    fail_usage(
        "wanted 2 or more experts to keep beside the shared one, which a dense model has no place for");
  }
  if (experts.gate == Gate::kSigmoid || experts.gate == Gate::kNone) {
    fail_usage(
        "wanted 2 or more experts to keep where the gate is {}: one alone is multiplied by a number that "
        "depends on the token, and is no dense feed-forward",
        config::enum_name(experts.gate));
  }
}

void check_number(int64_t keep, int64_t count) {
  if (keep < 1 || keep >= count) {
    fail_usage("wanted 1 to {} of the {} experts of each layer, found {}", count - 1, count, keep);
  }
}

void check_kept(const ModelConfig& model, std::span<const std::vector<int64_t>> kept) {
  const int64_t layers = config::count_expert_layers(model), count = model.experts.count;
  if (static_cast<int64_t>(kept.size()) != layers) {
    fail_usage("wanted votes of {} expert layers, found those of {}", layers, kept.size());
  }
  for (const std::vector<int64_t>& experts : kept) {
    check_number(static_cast<int64_t>(experts.size()), count);
    if (experts.size() != kept[0].size()) {
      fail_usage("wanted equally many experts of each layer, found {} and {}", kept[0].size(),
                 experts.size());
    }
    for (const int64_t expert : experts) {
      if (expert < 0 || expert >= count) {
        fail_usage("wanted experts from 0 to {}, found {}", count - 1, expert);
      }
    }
  }
}

ModelConfig smaller(const ModelConfig& model, int64_t keep) {
  if (keep == 1) {
    require_gate_of_one(model.experts);
    return dense_form(model, config::expert_feed_forward(model));
  }
  ModelConfig result = model;
  result.experts.count = keep;
  result.experts.active = std::min(model.experts.active, keep);
  result.experts.scales = false;
  return result;
}

// Tensors of an expert layer that do not count experts: the vectors of symbols, and what every token meets.
bool is_of_all_experts(const std::string& name) {
  return name.ends_with("router.symbols") || name.ends_with("router.kernel") ||
         name.find(".shared.") != std::string::npos;
}

}  // namespace

std::vector<std::vector<int64_t>> most_voted(const LayerVotes& votes, int64_t keep) {
  std::vector<std::vector<int64_t>> all;
  for (const std::vector<uint64_t>& of : votes) {
    check_number(keep, static_cast<int64_t>(of.size()));
    std::vector<int64_t> order(of.size());
    std::iota(order.begin(), order.end(), int64_t{0});
    std::ranges::stable_sort(order, std::ranges::greater(),
                             [&](int64_t expert) { return of[static_cast<size_t>(expert)]; });
    order.resize(static_cast<size_t>(keep));
    std::ranges::sort(order);
    all.push_back(std::move(order));
  }
  return all;
}

ConvertedModel keep_experts(const ModelConfig& model, const TensorLookup& tensors,
                            std::span<const std::vector<int64_t>> kept) {
  require_chosen_experts(model);
  check_kept(model, kept);
  ConvertedModel result{.model = smaller(model, static_cast<int64_t>(kept[0].size())), .tensors = {}};
  config::check(result.model);
  result.tensors = tensors_of(result.model, [&](const TensorShape& wanted) {
    const std::span<const float> from = tensors(wanted.name);
    if (!is_of_expert_layer(model, wanted.name) || is_of_all_experts(wanted.name)) return copy_of(from);
    const size_t own = from.size() / static_cast<size_t>(model.experts.count);
    std::vector<float> values;
    for (const int64_t expert : kept[static_cast<size_t>(number_of_expert_layer(model, wanted.name))]) {
      const auto rows = from.subspan(static_cast<size_t>(expert) * own, own);
      values.insert(values.end(), rows.begin(), rows.end());
    }
    return values;
  });
  return result;
}

}  // namespace megin::store
