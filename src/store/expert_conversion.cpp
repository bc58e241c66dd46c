#include "store/expert_conversion.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/files.h"
#include "base/random.h"
#include "config/enums.h"
#include "store/graph_partition.h"
#include "store/layer_tensors.h"
#include "store/tensor_names.h"
#include "store/unit_shares.h"

namespace megin::store {
namespace {

using config::ModelConfig;

// Of layer `layer` of both stacks.
Shares share_out(std::span<const float> looks_for, int64_t layer, int64_t units, const SplitOptions& options,
                 uint64_t key) {
  std::vector<int64_t> order(static_cast<size_t>(units));
  std::iota(order.begin(), order.end(), int64_t{0});
  switch (options.split) {
    case ExpertSplit::kContiguous:
      break;
    case ExpertSplit::kRandom:
      std::ranges::stable_sort(order, {},
                               [&](int64_t unit) { return draw_bits(key, static_cast<uint64_t>(unit)); });
      break;
    case ExpertSplit::kCluster:
      return shares_by_direction(looks_for, units, options.experts, key);
    case ExpertSplit::kCoactivation: {
      const UnitActivity& activity = options.activity[static_cast<size_t>(layer)];
      return balanced_partition(activity.coactivations(), units, options.experts);
    }
    case ExpertSplit::kCopy:
      return Shares(static_cast<size_t>(options.experts), order);
  }
  return shares_in_order(order, options.experts);
}

// "fc1.weight" of "decoder.layers.3.feed_forward.fc1.weight", and what stands before it.
std::string_view part_of(std::string_view name) {
  constexpr std::string_view kFeedForward = "feed_forward.";
  return name.substr(name.rfind(kFeedForward) + kFeedForward.size());
}
std::string_view before_part(std::string_view name) {
  return name.substr(0, name.size() - part_of(name).size());
}

class Splitter {
 public:
  Splitter(const ModelConfig& dense, const TensorLookup& tensors, const SplitOptions& options)
      : dense_(dense), tensors_(tensors), options_(options) {}

  std::vector<float> expert_tensor(const TensorShape& wanted) {
    const std::string_view part = part_of(wanted.name), prefix = before_part(wanted.name);
    if (part == "router.weight") return router(wanted);
    if (prefix != prefix_) share_layer(std::string(prefix));
    const std::span<const float> from = tensors_(wanted.name);
    const bool whole = options_.split == ExpertSplit::kCopy;
    std::vector<float> values;
    for (const std::vector<int64_t>& units : shares_) {
      if (whole || part == "fc2.bias") {
        values.insert(values.end(), from.begin(), from.end());
      } else if (part == "fc2.weight") {
        add_columns(from, units, values);
      } else {
        add_rows(from, units, values);
      }
    }
    return values;
  }

 private:
  void share_layer(const std::string& prefix) {
    prefix_ = prefix;
    const uint64_t key = draw_key(options_.seed, Purpose::kShuffle, {checksum(prefix)});
    // Of a gated activation, the gate says when a unit is active.
    const std::string name = prefix + (config::is_gated(dense_.activation) ? "gate.weight" : "fc1.weight");
    const std::span<const float> looks_for = tensors_(name);
    if (!std::ranges::all_of(looks_for, [](float value) { return std::isfinite(value); })) {
      fail("tensor {}: wanted finite numbers, found others; the model is damaged or has diverged", name);
    }
    shares_ = share_out(looks_for, number_of_layer(dense_, prefix), dense_.feed_forward, options_, key);
  }

  // Of [units, ...].
  void add_rows(std::span<const float> from, const std::vector<int64_t>& units,
                std::vector<float>& to) const {
    const size_t width = from.size() / static_cast<size_t>(dense_.feed_forward);
    for (const int64_t unit : units) {
      const auto row = from.subspan(static_cast<size_t>(unit) * width, width);
      to.insert(to.end(), row.begin(), row.end());
    }
  }

  // Of fc2, [d, units]: times the number of experts, as each has the share 1 / N.
  void add_columns(std::span<const float> from, const std::vector<int64_t>& units,
                   std::vector<float>& to) const {
    const auto factor = static_cast<float>(options_.experts);
    for (int64_t row = 0; row < dense_.width; ++row) {
      for (const int64_t unit : units) {
        to.push_back(factor * from[static_cast<size_t>(row * dense_.feed_forward + unit)]);
      }
    }
  }

  // As net/initialisation.cpp draws a fixed router's: N(0, 0.02^2).
  std::vector<float> router(const TensorShape& wanted) const {
    const uint64_t key = draw_key(options_.seed, Purpose::kInitialisation, {checksum(wanted.name), 0});
    std::vector<float> values(static_cast<size_t>(element_count(wanted.shape)));
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(0.02 * draw_normal(key, i));
    return values;
  }

  const ModelConfig& dense_;
  const TensorLookup& tensors_;
  const SplitOptions& options_;
  std::string prefix_;  // the layer that shares_ are of
  Shares shares_;
};

// What all ways into a dense model refuse.
void require_plain_experts(const ModelConfig& model, config::Gate gate, std::string_view wanted) {
  const config::ExpertConfig& experts = model.experts;
  if (config::is_mixture(model)) {
    fail_usage("wanted a model with experts, found a mixture of {} translations", model.mixture.components);
  }
  if (config::count_expert_layers(model) == 0) fail_usage("wanted a model with experts, found a dense one");
  if (experts.shared)
    fail_usage("wanted a model without a shared expert, which every token meets beside others");
  if (experts.gate != gate) {
    fail_usage("wanted a model whose gate is {}, found {}: {}", config::enum_name(gate),
               config::enum_name(experts.gate), wanted);
  }
}

void require_activity(const ModelConfig& dense, const SplitOptions& options) {
  const auto layers = static_cast<size_t>(dense.encoder_layers + dense.decoder_layers);
  if (options.activity.size() != layers) {
    fail_usage("wanted the activity of {} layers for a split by co-activation, found that of {}", layers,
               options.activity.size());
  }
  for (const UnitActivity& of : options.activity) {
    if (of.tokens() == 0) fail("wanted a text to see which hidden units are active together, found none");
  }
}

constexpr std::string_view kNoGates =
    "an expert's output is multiplied by a number that depends on the token";

}  // namespace

void check_split(const ModelConfig& dense, const SplitOptions& options) {
  if (dense.experts.count > 1)
    fail_usage("wanted a dense model, found one with {} experts", dense.experts.count);
  if (dense.experts.body == config::ExpertBody::kInsert) {
    fail_usage("wanted a model without inserted feed-forwards");
  }
  if (config::is_mixture(dense))
    fail_usage("wanted one model, found a mixture of {}", dense.mixture.components);
  constexpr int64_t kMostExperts = 65'535;  // that records of routes can number
  if (options.experts < 2 || options.experts > kMostExperts) {
    fail_usage("wanted 2 to {} experts, found {}", kMostExperts, options.experts);
  }
  const bool whole = options.split == ExpertSplit::kCopy;
  if (!whole && dense.feed_forward % options.experts != 0) {
    fail_usage("wanted a number of experts that divides the width of the feed-forwards ({}), found {}",
               dense.feed_forward, options.experts);
  }
}

ConvertedModel split_into_experts(const ModelConfig& dense, const TensorLookup& tensors,
                                  const SplitOptions& options) {
  check_split(dense, options);
  const bool whole = options.split == ExpertSplit::kCopy;
  if (options.split == ExpertSplit::kCoactivation) require_activity(dense, options);
  ConvertedModel result{.model = dense, .tensors = {}};
  result.model.group_dropout = {};  // of dense models' training
  result.model.concrete_dropout = 0;
  result.model.experts = {.count = options.experts,
                          .every = options.every,
                          .offset = options.offset,
                          .feed_forward = whole ? 0 : dense.feed_forward / options.experts,
                          .router = config::RouterKind::kFixed,
                          .active = whole ? 1 : options.experts,
                          .gate = config::Gate::kMean};
  config::check(result.model);
  Splitter splitter(dense, tensors, options);
  result.tensors = tensors_of(result.model, [&](const TensorShape& wanted) {
    return is_of_expert_layer(result.model, wanted.name) ? splitter.expert_tensor(wanted)
                                                         : copy_of(tensors(wanted.name));
  });
  return result;
}

ConvertedModel take_path(const ModelConfig& model, const TensorLookup& tensors,
                         std::span<const int64_t> path) {
  require_plain_experts(model, config::Gate::kNone, kNoGates);
  const int64_t layers = config::count_expert_layers(model), count = model.experts.count;
  if (path.size() != 1 && static_cast<int64_t>(path.size()) != layers) {
    fail_usage("wanted one expert, or one for each of {} expert layers, found {}", layers, path.size());
  }
  for (const int64_t expert : path) {
    if (expert < 0 || expert >= count) fail_usage("wanted experts from 0 to {}, found {}", count - 1, expert);
  }
  ConvertedModel result{.model = dense_form(model, config::expert_feed_forward(model)), .tensors = {}};
  result.tensors = tensors_of(result.model, [&](const TensorShape& wanted) {
    const std::span<const float> from = tensors(wanted.name);
    if (!is_of_expert_layer(model, wanted.name)) return copy_of(from);
    const int64_t layer = number_of_expert_layer(model, wanted.name);
    const auto expert = static_cast<size_t>(path.size() == 1 ? path[0] : path[static_cast<size_t>(layer)]);
    const size_t own = from.size() / static_cast<size_t>(count);
    return copy_of(from.subspan(expert * own, own));
  });
  return result;
}

ConvertedModel take_mean(const ModelConfig& model, const TensorLookup& tensors) {
  require_plain_experts(model, config::Gate::kNone, kNoGates);
  const auto count = static_cast<size_t>(model.experts.count);
  ConvertedModel result{.model = dense_form(model, config::expert_feed_forward(model)), .tensors = {}};
  result.tensors = tensors_of(result.model, [&](const TensorShape& wanted) {
    const std::span<const float> from = tensors(wanted.name);
    if (!is_of_expert_layer(model, wanted.name)) return copy_of(from);
    std::vector<float> mean(from.size() / count);
    for (size_t i = 0; i < mean.size(); ++i) {
      double sum = 0;
      for (size_t e = 0; e < count; ++e) sum += from[e * mean.size() + i];
      mean[i] = static_cast<float>(sum / static_cast<double>(count));
    }
    return mean;
  });
  return result;
}

ConvertedModel take_all(const ModelConfig& model, const TensorLookup& tensors) {
  require_plain_experts(model, config::Gate::kMean,
                        "only with equal shares are all experts together one feed-forward");
  if (model.experts.body == config::ExpertBody::kInsert) {
    fail_usage(
        "inserted experts contain norms of their own and do not stand side by side as one feed-forward");
  }
  const int64_t count = model.experts.count, width = config::expert_feed_forward(model), d = model.width;
  ConvertedModel result{.model = dense_form(model, count * width), .tensors = {}};
  const double share = 1.0 / static_cast<double>(count);
  result.tensors = tensors_of(result.model, [&](const TensorShape& wanted) {
    const std::span<const float> from = tensors(wanted.name);
    if (!is_of_expert_layer(model, wanted.name)) return copy_of(from);
    const std::string_view part = part_of(wanted.name);
    if (part != "fc2.weight" && part != "fc2.bias") return copy_of(from);  // [N, f, d] is [N f, d]
    std::vector<float> values(static_cast<size_t>(element_count(wanted.shape)));
    for (int64_t e = 0; e < count; ++e) {
      for (int64_t row = 0; row < d; ++row) {
        if (part == "fc2.bias") {
          values[static_cast<size_t>(row)] +=
              static_cast<float>(share * from[static_cast<size_t>(e * d + row)]);
          continue;
        }
        for (int64_t unit = 0; unit < width; ++unit) {
          values[static_cast<size_t>((row * count + e) * width + unit)] =
              static_cast<float>(share * from[static_cast<size_t>((e * d + row) * width + unit)]);
        }
      }
    }
    return values;
  });
  return result;
}

}  // namespace megin::store
