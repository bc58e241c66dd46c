#include "config/dispatch.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <numeric>

#include "base/error.h"
#include "base/random.h"
#include "config/enums.h"

namespace megin::config {
namespace {

constexpr std::string_view kForms =
    "sentence, token, position, batch, ensemble, router, k=K with so many experts a token, or path:E with "
    "one expert, for all expert layers or one for each, as k=8,4 and path:0,1";

std::vector<int64_t> parse_path(std::string_view text, std::string_view list) {
  std::vector<int64_t> path;
  while (true) {
    const size_t comma = list.find(',');
    const std::string_view item = list.substr(0, comma);
    int64_t expert = 0;
    const auto [end, error] = std::from_chars(item.data(), item.data() + item.size(), expert);
    if (error != std::errc() || end != item.data() + item.size() || expert < 0) {
      fail_usage("wanted {}; found '{}'", kForms, text);
    }
    path.push_back(expert);
    if (comma == std::string_view::npos) return path;
    list.remove_prefix(comma + 1);
  }
}

}  // namespace

Dispatch parse_dispatch(std::string_view text, uint64_t seed) {
  constexpr std::string_view kActivePrefix = "k=";
  if (text.starts_with(kActivePrefix)) {
    std::vector<int64_t> active = parse_path(text, text.substr(kActivePrefix.size()));
    if (std::ranges::min(active) < 1) fail_usage("wanted {}; found '{}'", kForms, text);
    return {.mode = DispatchMode::kRouter, .seed = seed, .path = {}, .active = std::move(active)};
  }
  constexpr std::string_view kPathPrefix = "path:";
  if (text.starts_with(kPathPrefix)) {
    return {DispatchMode::kPath, seed, parse_path(text, text.substr(kPathPrefix.size()))};
  }
  for (const DispatchMode mode : {DispatchMode::kSentence, DispatchMode::kToken, DispatchMode::kPosition,
                                  DispatchMode::kBatch, DispatchMode::kEnsemble, DispatchMode::kRouter}) {
    if (enum_name(mode) == text) return {mode, seed, {}};
  }
  fail_usage("wanted {}; found '{}'", kForms, text);
}

std::string to_string(const Dispatch& dispatch) {
  if (!dispatch.active.empty()) return fmt::format("k={}", fmt::join(dispatch.active, ","));
  const std::string name(enum_name(dispatch.mode));
  if (dispatch.mode != DispatchMode::kPath) return name;
  return fmt::format("{}:{}", name, fmt::join(dispatch.path, ","));
}

namespace {

// The key of what is drawn for a token, in the modes that draw.
uint64_t place_key(const Dispatch& dispatch, const TokenPlace& place) {
  const uint64_t mode = static_cast<uint64_t>(dispatch.mode);
  const uint64_t stack = static_cast<uint64_t>(place.stack);
  const auto key = [&](std::initializer_list<uint64_t> indices) {
    return draw_key(dispatch.seed, Purpose::kDispatch, indices);
  };
  switch (dispatch.mode) {
    case DispatchMode::kSentence:
      return key({mode, stack, place.layer, place.sentence});
    case DispatchMode::kToken:
      return key({mode, stack, place.layer, place.sentence, place.position});
    case DispatchMode::kPosition:
      return key({mode, stack, place.layer, place.position});
    case DispatchMode::kBatch:
      return key({mode, stack, place.layer});
    case DispatchMode::kPath:
    case DispatchMode::kEnsemble:
    case DispatchMode::kRouter:
      break;
  }
  throw std::logic_error("no expert is drawn in this mode");
}

}  // namespace

int64_t draw_expert(const Dispatch& dispatch, const TokenPlace& place, int64_t experts) {
  if (dispatch.mode == DispatchMode::kPath) return number_of_layer(dispatch.path, place.expert_layer, 0);
  return static_cast<int64_t>(draw_index(place_key(dispatch, place), 0, static_cast<uint64_t>(experts)));
}

int64_t number_of_layer(std::span<const int64_t> numbers, uint64_t expert_layer, int64_t otherwise) {
  if (numbers.empty()) return otherwise;
  if (numbers.size() == 1) return numbers.front();
  if (expert_layer >= numbers.size()) throw std::logic_error("an expert layer without a number");
  return numbers[static_cast<size_t>(expert_layer)];
}

int64_t active_experts(const Dispatch& dispatch, const ExpertConfig& experts, uint64_t expert_layer) {
  return number_of_layer(dispatch.active, expert_layer, experts.active);
}

int64_t most_active_experts(const Dispatch& dispatch, const ExpertConfig& experts) {
  return dispatch.active.empty() ? experts.active : std::ranges::max(dispatch.active);
}

void draw_experts(uint64_t key, uint64_t index, const ExpertConfig& experts, DrawnChoice choice) {
  const auto count = static_cast<uint64_t>(experts.count);
  const auto score = [&](int64_t expert) {
    return draw_uniform(key, index * count + static_cast<uint64_t>(expert));
  };
  std::vector<int64_t> order(count);
  std::iota(order.begin(), order.end(), int64_t{0});
  std::ranges::stable_sort(order, std::ranges::greater(), score);
  std::copy_n(order.begin(), choice.experts.size(), choice.experts.begin());
  double sum = 0;
  const auto weight = [&](int64_t expert) {
    return experts.gate == Gate::kSoftmaxOfChosen ? std::exp(score(expert)) : 1.0;
  };
  for (const int64_t expert : choice.experts) sum += weight(expert);
  for (size_t c = 0; c < choice.gates.size(); ++c) {
    choice.gates[c] = static_cast<float>(weight(choice.experts[c]) / sum);
  }
}

void draw_experts(const Dispatch& dispatch, const TokenPlace& place, const ExpertConfig& experts,
                  DrawnChoice choice) {
  draw_experts(place_key(dispatch, place), 0, experts, choice);
}

Dispatch parse_dispatch_or_auto(std::string_view text, uint64_t seed, const ModelConfig& model,
                                DispatchMode drawn) {
  if (text != "auto") return parse_dispatch(text, seed);
  if (is_mixture(model)) {
    if (has_learned_prior(model)) return {DispatchMode::kRouter, seed, {}};
    return {DispatchMode::kPath, seed, {0}};
  }
  const RouterKind router = model.experts.router;
  if (router == RouterKind::kUniform) return {DispatchMode::kToken, seed, {}};  // as it was trained
  return {is_drawn(router) ? drawn : DispatchMode::kRouter, seed, {}};
}

bool may_be_drawn_past(const ExpertConfig& experts) {
  switch (experts.router) {
    case RouterKind::kTopK:
    case RouterKind::kFixed:
    case RouterKind::kHash:
      return experts.active == 1;
    case RouterKind::kBase:
    case RouterKind::kDistilled:
      return true;
    case RouterKind::kRandom:
    case RouterKind::kUniform:
    case RouterKind::kSentence:
    case RouterKind::kExpertChoice:
      return false;
  }
  __builtin_unreachable();
}

namespace {

void check_mixture(const Dispatch& dispatch, const ModelConfig& model) {
  const std::string text = to_string(dispatch);
  const int64_t components = model.mixture.components;
  if (dispatch.gate) fail_usage("{}: the components of a mixture have no gate to replace", text);
  const bool chosen = dispatch.mode == DispatchMode::kRouter && dispatch.active.empty();
  if (chosen && has_learned_prior(model)) return;
  if (dispatch.mode != DispatchMode::kPath || dispatch.path.size() != 1) {
    fail_usage("{}: this model is a mixture of {} translations; wanted {}path:0 to path:{} for one of them",
               text, components, has_learned_prior(model) ? "router for the likeliest of a source, or " : "",
               components - 1);
  }
  if (dispatch.path[0] < components) return;
  fail_usage("{}: wanted a component from 0 to {}, found {}", text, components - 1, dispatch.path[0]);
}

void check_router(const Dispatch& dispatch, const ExpertConfig& experts) {
  const std::string text = to_string(dispatch);
  const bool by_router = dispatch.mode == DispatchMode::kRouter;
  if (by_router && is_drawn(experts.router)) {
    fail_usage(
        "{}: this model's router is {}, so experts are drawn, and it has no router of its own; wanted "
        "sentence, token, position, batch, ensemble or path:...",
        text, enum_name(experts.router));
  }
  const bool drawn = !by_router && dispatch.mode != DispatchMode::kEnsemble;
  if (!by_router && !is_drawn(experts.router) && !(drawn && may_be_drawn_past(experts))) {
    fail_usage("{}: this model's router is {}, so experts are chosen by the model itself; wanted router{}",
               text, enum_name(experts.router),
               may_be_drawn_past(experts)
                   ? ", or sentence, token, position, batch or path:... to draw past it"
                   : "");
  }
  if (!dispatch.active.empty() && !is_elastic(experts.router)) {
    fail_usage("{}: the router {} gives every token {} of its experts; wanted router", text,
               enum_name(experts.router), experts.active);
  }
}

}  // namespace

void check(const Dispatch& dispatch, const ModelConfig& model) {
  if (is_mixture(model)) return check_mixture(dispatch, model);
  const int64_t experts = model.experts.count, layers = count_expert_layers(model);
  const std::string text = to_string(dispatch);
  if (experts > 1) check_router(dispatch, model.experts);
  if (dispatch.gate && (experts == 1 || is_drawn(model.experts.router))) {
    fail_usage("{}: a gate of {} was asked for, but this model has no router, and so no gates to replace",
               text, *dispatch.gate);
  }
  for (const int64_t active : dispatch.active) {
    if (active >= 1 && active <= experts) continue;
    fail_usage("{}: wanted 1 to {} experts a token, as the model has no more", text, experts);
  }
  const auto of_layers = static_cast<int64_t>(dispatch.active.size());
  if (of_layers > 1 && of_layers != layers) {
    fail_usage("{}: wanted 1 number of experts or {} (one for each expert layer, encoder first), found {}",
               text, layers, of_layers);
  }
  if (dispatch.mode != DispatchMode::kPath) return;
  for (const int64_t expert : dispatch.path) {
    if (expert >= 0 && expert < experts) continue;
    fail_usage("{}: wanted experts from 0 to {}, found {}; this model has {} {} a layer", text, experts - 1,
               expert, experts, experts == 1 ? "expert" : "experts");
  }
  const int64_t length = static_cast<int64_t>(dispatch.path.size());
  if (length == 1 || length == layers) return;
  if (layers == 0) fail_usage("{}: this model is dense, it has no expert layers; leave the path out", text);
  fail_usage("{}: wanted 1 expert or {} (one for each expert layer, encoder first), found {}", text, layers,
             length);
}

}  // namespace megin::config
