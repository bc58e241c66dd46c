// megin analyze votes: how many tokens of a text choose each expert (Chen et al. 2023, section 2), from one
// pass over it.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <ostream>

#include "base/error.h"
#include "base/human_text.h"
#include "cli/analysis.h"
#include "cli/expert_vote_files.h"
#include "cli/measured_run.h"
#include "config/enums.h"
#include "report/table.h"
#include "store/tensor_names.h"

namespace megin::cli {
namespace {

// The experts of a token whose votes are counted: as many as the model uses, unless that is all of them, when
// every expert has every token's vote; then half.
int64_t voting_choices(const AnalysisOptions& options, const config::ExpertConfig& experts) {
  if (!config::is_elastic(experts.router)) {
    if (options.active > 0) {
      fail_usage("--active: wanted none for the router {}, which takes as many experts as it was made for",
                 config::enum_name(experts.router));
    }
    return experts.active;
  }
  if (options.active == 0) {
    return experts.active < experts.count ? experts.active : (experts.count + 1) / 2;
  }
  if (options.active >= experts.count) {
    fail_usage("--active: wanted 1 to {} experts a token, as all {} of them get equally many votes; found {}",
               experts.count - 1, experts.count, options.active);
  }
  return options.active;
}

void require_chosen_experts(const std::string& path, const config::ModelConfig& model) {
  if (config::is_mixture(model) || config::count_expert_layers(model) == 0) {
    fail_usage("{}: wanted a model with experts, found {}", path,
               config::is_mixture(model) ? "a mixture" : "a dense one");
  }
  const config::RouterKind router = model.experts.router;
  if (config::is_drawn(router) || router == config::RouterKind::kExpertChoice) {
    fail_usage("{}: wanted a model whose tokens choose experts, found the router {}", path,
               config::enum_name(router));
  }
}

// Names of the expert layers, encoder first.
std::vector<std::string> layer_names(const config::ModelConfig& model) {
  std::vector<std::string> names;
  for (const config::Stack stack : {config::Stack::kEncoder, config::Stack::kDecoder}) {
    for (int64_t layer = 0; layer < config::layers_of(model, stack); ++layer) {
      if (!config::is_expert_layer(model, stack, layer)) continue;
      names.push_back(fmt::format("{} {}", store::stack_name(stack), layer));
    }
  }
  return names;
}

struct Count {
  const std::vector<std::string>& layers;
  const std::vector<std::vector<uint64_t>>& votes;
  int64_t active = 1;

  uint64_t all(size_t layer) const {
    return std::accumulate(votes[layer].begin(), votes[layer].end(), uint64_t{0});
  }
  // Of the layer's votes.
  double share(size_t layer, size_t expert) const {
    return static_cast<double>(votes[layer][expert]) / static_cast<double>(all(layer));
  }
};

std::string table_text(const Count& count, int64_t top) {
  using report::Align;
  report::Table table({{"layer"},
                       {"tokens", Align::kRight},
                       {"least", Align::kRight},
                       {"most", Align::kRight},
                       {"without", Align::kRight},
                       {"most voted"}});
  for (size_t layer = 0; layer < count.layers.size(); ++layer) {
    const std::vector<uint64_t>& votes = count.votes[layer];
    std::vector<size_t> order(votes.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::ranges::stable_sort(order, std::ranges::greater(), [&](size_t expert) { return votes[expert]; });
    std::string first;
    for (size_t i = 0; i < order.size() && i < static_cast<size_t>(top); ++i) {
      first += fmt::format("{}{} ({:.1f}%)", i > 0 ? " " : "", order[i], 100 * count.share(layer, order[i]));
    }
    table.add_row({count.layers[layer], grouped(static_cast<int64_t>(count.all(layer)) / count.active),
                   fmt::format("{:.1f}%", 100 * count.share(layer, order.back())),
                   fmt::format("{:.1f}%", 100 * count.share(layer, order.front())),
                   fmt::format("{}", std::ranges::count(votes, uint64_t{0})), first});
  }
  return table.text();
}

}  // namespace

void analyze_votes(const AnalysisOptions& options, CommandContext& context) {
  if (options.top < 1) fail_usage("--top: wanted 1 or more, found {}", options.top);
  const runtime::ModelBundle bundle = runtime::open_model(options.paths[0]);
  const config::ModelConfig& model = bundle.weights->config;
  require_chosen_experts(options.paths[0], model);
  const int64_t active = voting_choices(options, model.experts);
  config::Dispatch dispatch{.mode = config::DispatchMode::kRouter};
  if (config::is_elastic(model.experts.router)) dispatch.active = {active};
  runtime::ExpertVotes votes(config::count_expert_layers(model), model.experts.count);
  ReadFiles read{.files = options.files, .tag = options.tag};
  read.files.most_lines = options.lines.value_or(0);
  run_over(read, {.bundle = bundle, .dispatch = dispatch, .measured = {.votes = &votes}, .label = "votes"},
           context.console);
  const std::vector<std::string> layers = layer_names(model);
  const Count count{.layers = layers, .votes = votes.counts(), .active = active};
  if (count.all(layers.size() - 1) == 0) fail("the files hold no token that could choose an expert");

  std::string csv = "layer,expert,votes,share\n";
  nlohmann::ordered_json result = {{"model", options.paths[0]},
                                   {"weights_checksum", weights_checksum(bundle.directory->path)},
                                   {"active", active},
                                   {"layers", nlohmann::ordered_json::array()}};
  for (size_t layer = 0; layer < layers.size(); ++layer) {
    result["layers"].push_back({{"layer", layers[layer]}, {"votes", count.votes[layer]}});
    for (size_t expert = 0; expert < count.votes[layer].size(); ++expert) {
      csv += fmt::format("{},{},{},{:.6f}\n", layers[layer], expert, count.votes[layer][expert],
                         count.share(layer, expert));
    }
  }
  if (!options.csv.empty()) write_output(options.csv, csv, context);
  if (context.json) {
    context.out << result.dump() << "\n";
    return;
  }
  context.out << table_text(count, options.top)
              << fmt::format(
                     "\nShares of a layer's votes; each token votes for the {} it chooses. without: experts "
                     "that no token chose.\n",
                     active == 1 ? "expert" : fmt::format("{} experts", active));
}

}  // namespace megin::cli
