#include "config/dispatch.h"

#include <fmt/format.h>

#include <charconv>

#include "base/error.h"
#include "base/random.h"
#include "config/enums.h"

namespace megin::config {
namespace {

constexpr std::string_view kForms =
    "sentence, token, position, batch, ensemble, router, k=K with so many experts a token, or path:E with "
    "one expert for all expert layers or one for each, as path:0,1";

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
    const std::vector<int64_t> active = parse_path(text, text.substr(kActivePrefix.size()));
    if (active.size() != 1 || active[0] < 1) fail_usage("wanted {}; found '{}'", kForms, text);
    return {.mode = DispatchMode::kRouter, .seed = seed, .path = {}, .active = active[0]};
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
  if (dispatch.active > 0) return fmt::format("k={}", dispatch.active);
  const std::string name(enum_name(dispatch.mode));
  if (dispatch.mode != DispatchMode::kPath) return name;
  return fmt::format("{}:{}", name, fmt::join(dispatch.path, ","));
}

int64_t draw_expert(const Dispatch& dispatch, const TokenPlace& place, int64_t experts) {
  const uint64_t mode = static_cast<uint64_t>(dispatch.mode);
  const uint64_t stack = static_cast<uint64_t>(place.stack);
  const auto draw = [&](std::initializer_list<uint64_t> indices) {
    const uint64_t key = draw_key(dispatch.seed, Purpose::kDispatch, indices);
    return static_cast<int64_t>(draw_index(key, 0, static_cast<uint64_t>(experts)));
  };
  switch (dispatch.mode) {
    case DispatchMode::kSentence:
      return draw({mode, stack, place.layer, place.sentence});
    case DispatchMode::kToken:
      return draw({mode, stack, place.layer, place.sentence, place.position});
    case DispatchMode::kPosition:
      return draw({mode, stack, place.layer, place.position});
    case DispatchMode::kBatch:
      return draw({mode, stack, place.layer});
    case DispatchMode::kPath:
      return dispatch.path.size() == 1 ? dispatch.path.front() : dispatch.path.at(place.expert_layer);
    case DispatchMode::kEnsemble:
    case DispatchMode::kRouter:
      break;
  }
  throw std::logic_error("no expert is drawn in this mode");
}

Dispatch parse_dispatch_or_auto(std::string_view text, uint64_t seed, RouterKind router, DispatchMode drawn) {
  if (text != "auto") return parse_dispatch(text, seed);
  if (router == RouterKind::kUniform) return {DispatchMode::kToken, seed, {}};  // as it was trained
  return {is_drawn(router) ? drawn : DispatchMode::kRouter, seed, {}};
}

void check(const Dispatch& dispatch, const ExpertConfig& config, int64_t expert_layers) {
  const int64_t experts = config.count;
  const std::string text = to_string(dispatch);
  if (experts > 1 && is_drawn(config.router) == (dispatch.mode == DispatchMode::kRouter)) {
    fail_usage("{}: this model's router is {}, so experts are {}", text, enum_name(config.router),
               is_drawn(config.router) ? "drawn, and it has no router of its own; wanted sentence, token, "
                                         "position, batch, ensemble or path:..."
                                       : "chosen by the model itself; wanted router");
  }
  if (dispatch.active > 0) {
    if (experts > 1 && !is_elastic(config.router)) {
      fail_usage("{}: the router {} gives every token {} of its experts; wanted router", text,
                 enum_name(config.router), config.active);
    }
    if (dispatch.active > experts) {
      fail_usage("{}: wanted 1 to {} experts a token, as the model has no more", text, experts);
    }
  }
  if (dispatch.mode != DispatchMode::kPath) return;
  for (const int64_t expert : dispatch.path) {
    if (expert >= 0 && expert < experts) continue;
    fail_usage("{}: wanted experts from 0 to {}, found {}; this model has {} {} a layer", text, experts - 1,
               expert, experts, experts == 1 ? "expert" : "experts");
  }
  const int64_t length = static_cast<int64_t>(dispatch.path.size());
  if (length == 1 || length == expert_layers) return;
  if (expert_layers == 0)
    fail_usage("{}: this model is dense, it has no expert layers; leave the path out", text);
  fail_usage("{}: wanted 1 expert or {} (one for each expert layer, encoder first), found {}", text,
             expert_layers, length);
}

}  // namespace megin::config
