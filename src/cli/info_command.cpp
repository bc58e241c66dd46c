// megin info: what a model is, how large, what a token costs, and where it comes from.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/error.h"
#include "base/human_text.h"
#include "cli/command.h"
#include "cli/model_path.h"
#include "config/dispatch.h"
#include "config/enums.h"
#include "config/run_config.h"
#include "store/model_directory.h"
#include "store/model_size.h"

namespace megin::cli {
namespace {

namespace fs = std::filesystem;

struct InfoOptions {
  std::string model;
  int64_t length = 30;
};

// Everything that is printed, as text or as JSON.
struct ModelInfo {
  fs::path path;
  store::ModelDescription description;
  store::ParameterCounts total, active;
  store::TokenFlops one_expert, all_experts;
  int64_t expert_layers = 0;
  int64_t bytes = 0;
  std::vector<std::string> modes;  // that --experts takes
};

int64_t bytes_in(const fs::path& directory) {
  int64_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.is_regular_file()) bytes += static_cast<int64_t>(entry.file_size());
  }
  return bytes;
}

std::vector<std::string> dispatch_modes(const config::ModelConfig& model, int64_t expert_layers) {
  if (config::is_mixture(model)) {
    std::vector<std::string> modes;
    if (config::has_learned_prior(model)) modes.emplace_back("router");
    modes.push_back(fmt::format("path:0 ... path:{}", model.mixture.components - 1));
    return modes;
  }
  const config::ExpertConfig& experts = model.experts;
  const bool has_router = experts.count > 1 && !config::is_drawn(experts.router);
  std::vector<std::string> modes;
  if (has_router) modes.emplace_back("router");
  if (has_router && config::is_elastic(experts.router)) {
    modes.push_back(fmt::format("k=1 ... k={}", experts.count));
    if (expert_layers > 1) modes.push_back(fmt::format("k=K,K,... ({} expert layers)", expert_layers));
  }
  if (has_router && !config::may_be_drawn_past(experts)) return modes;
  const std::string path =
      experts.count == 1
          ? "path:0"
          : fmt::format("path:E or path:E,E,... ({} experts from 0 to {})", expert_layers, experts.count - 1);
  modes.insert(modes.end(), {"sentence", "token", "position", "batch"});
  if (!has_router) modes.emplace_back("ensemble");
  modes.push_back(path);
  return modes;
}

// How the experts of a token are chosen, in words.
std::string router_text(const config::ExpertConfig& experts) {
  switch (experts.router) {
    case config::RouterKind::kRandom:
      return "drawn at random";
    case config::RouterKind::kUniform:
      return experts.active == 1 ? std::string("drawn at random for each token")
                                 : fmt::format("{} drawn at random for each token", experts.active);
    case config::RouterKind::kTopK:
      return fmt::format("the best {} of each token by learned scores{}", experts.active,
                         experts.scales ? ", or any other number, whose outputs are scaled" : "");
    case config::RouterKind::kFixed:
      return fmt::format("the best {} of each token by fixed random scores, or any other number{}",
                         experts.active, experts.scales ? ", whose outputs are scaled" : "");
    case config::RouterKind::kSentence:
      return "the best of each sentence by learned scores";
    case config::RouterKind::kHash:
      return experts.hash != config::HashTable::kPosition ? std::string("by a table from symbol to expert")
             : experts.active == 1                        ? std::string("by a table from position to expert")
                                   : fmt::format("by a table from position to {} experts", experts.active);
    case config::RouterKind::kBase:
      return "the best of each token by learned scores, balanced in training";
    case config::RouterKind::kDistilled:
      return experts.distilled_input == config::DistilledInput::kWord
                 ? "by a distilled router from symbol to expert"
                 : fmt::format("by a distilled router from the last {} symbols to expert",
                               config::distilled_reach(experts.distilled_input));
    case config::RouterKind::kExpertChoice:
      return fmt::format(
          "of a sentence's tokens in the encoder each expert takes its best, {} experts a token on "
          "average",
          experts.active);
  }
  __builtin_unreachable();
}

ModelInfo inspect(const InfoOptions& options) {
  ModelInfo info;
  info.path = find_model(options.model);
  info.description = store::open_model_directory(info.path).description;
  const config::ModelConfig& model = info.description.model;
  info.total = store::count_parameters(model);
  info.active = store::count_active_parameters(model, model.experts.active);
  info.one_expert = store::count_token_flops(model, model.experts.active, options.length);
  info.all_experts = store::count_token_flops(model, model.experts.count, options.length);
  info.expert_layers = config::count_expert_layers(model);
  info.bytes = bytes_in(info.path);
  info.modes = dispatch_modes(model, info.expert_layers);
  return info;
}

nlohmann::ordered_json to_json(const store::ParameterCounts& counts) {
  return {
      {"total", counts.total()},       {"embeddings", counts.embeddings},     {"positions", counts.positions},
      {"attention", counts.attention}, {"feed_forward", counts.feed_forward}, {"experts", counts.experts},
      {"routers", counts.routers},     {"classifier", counts.classifier},     {"norms", counts.norms}};
}

nlohmann::ordered_json to_json(const store::TokenFlops& flops) {
  return {{"source", flops.source},
          {"target", flops.target},
          {"source_attention", flops.source_attention},
          {"target_attention", flops.target_attention}};
}

nlohmann::ordered_json to_json(const ModelInfo& info, int64_t length) {
  const store::Provenance& from = info.description.provenance;
  return {{"path", info.path.string()},
          {"source_language", info.description.source_language},
          {"target_language", info.description.target_language},
          {"classes", info.description.classes},
          {"model", config::model_to_json(info.description.model)},
          {"parameters", to_json(info.total)},
          {"active_parameters", to_json(info.active)},
          {"expert_layers", info.expert_layers},
          {"flops_per_token",
           {{"length", length},
            {"one_expert", to_json(info.one_expert)},
            {"all_experts", to_json(info.all_experts)}}},
          {"bytes", info.bytes},
          {"dispatch_modes", info.modes},
          {"provenance",
           {{"method", from.method},
            {"updates", from.updates},
            {"seeds", from.seeds},
            {"data_checksum", from.data_checksum},
            {"scores", from.scores},
            {"averaged", from.averaged},
            {"megin_version", from.megin_version}}}};
}

// Where the experts stand, in words.
std::string place_text(const ModelInfo& info) {
  const config::ModelConfig& m = info.description.model;
  if (m.experts.body == config::ExpertBody::kInsert) {
    return fmt::format("{} inserted layers of {} residual sublayers", info.expert_layers,
                       m.experts.sublayers);
  }
  return fmt::format("{} layers (layer i of a stack has them if i % {} = {})", info.expert_layers,
                     m.experts.every, m.experts.offset);
}

std::string shape_lines(const ModelInfo& info) {
  const config::ModelConfig& m = info.description.model;
  const bool same = m.source_vocabulary == m.target_vocabulary;
  std::string text = fmt::format("vocabulary   {}{}\n", grouped(m.target_vocabulary),
                                 same ? "" : fmt::format(" (source: {})", grouped(m.source_vocabulary)));
  const std::string layers = config::is_language_model(m)
                                 ? std::to_string(m.encoder_layers + m.decoder_layers)
                                 : fmt::format("{} + {}", m.encoder_layers, m.decoder_layers);
  text += fmt::format("layers       {} of width {}, {} heads, feed-forward {} ({})\n", layers, m.width,
                      m.heads, m.feed_forward, enum_name(m.activation));
  const std::string reads = config::has_memory(m)
                                ? fmt::format("segments of {} tokens, which see {} before them",
                                              grouped(m.max_length), grouped(m.memory))
                                : fmt::format("up to {} tokens", grouped(m.max_length));
  text += fmt::format("             {} ({}-norm), {} positions, {}\n", enum_name(m.norm),
                      enum_name(m.norm_position), enum_name(m.positions), reads);
  if (config::is_mixture(m)) {
    return text + fmt::format("mixture      of {} translations, each with its own {}; prior {}\n",
                              m.mixture.components,
                              m.mixture.kind == config::MixtureKind::kDecoder ? "decoder" : "first vector",
                              enum_name(m.mixture.prior));
  }
  if (m.experts.count == 1 && m.experts.body == config::ExpertBody::kInsert) {
    return text + fmt::format("experts      none (dense), {} residual sublayers inserted in {} places\n",
                              m.experts.sublayers, m.experts.layers);
  }
  if (m.experts.count == 1) return text + "experts      none (dense)\n";
  const bool other_width = config::expert_feed_forward(m) != m.feed_forward;
  return text + fmt::format("experts      {}{} in each of {}, {}{}\n", m.experts.count,
                            other_width ? fmt::format(" of width {}", config::expert_feed_forward(m)) : "",
                            place_text(info), router_text(m.experts),
                            m.experts.shared ? ", and a shared one" : "");
}

std::string provenance_lines(const store::Provenance& from) {
  std::string text = fmt::format("trained      {}, {} updates, seed {}, by megin {}\n",
                                 from.method.empty() ? "method unknown" : from.method, grouped(from.updates),
                                 fmt::join(from.seeds, ", "), from.megin_version);
  for (const auto& [name, value] : from.scores)
    text += fmt::format("             validation {} {:.4g}\n", name, value);
  if (!from.averaged.empty())
    text += fmt::format("             the mean of {} models\n", from.averaged.size());
  if (!from.data_checksum.empty()) text += fmt::format("             data {}\n", from.data_checksum);
  return text;
}

std::string parameter_table(const ModelInfo& info) {
  std::string text = fmt::format("\n{:<28}{:>16}{:>16}\n", "parameters", "all", "active");
  const auto row = [&](const char* name, int64_t all, int64_t active) {
    if (all > 0) text += fmt::format("  {:<26}{:>16}{:>16}\n", name, grouped(all), grouped(active));
  };
  row("embeddings and output", info.total.embeddings, info.active.embeddings);
  row("positions", info.total.positions, info.active.positions);
  row("attention", info.total.attention, info.active.attention);
  row("feed-forward, dense", info.total.feed_forward, info.active.feed_forward);
  row("feed-forward, experts", info.total.experts, info.active.experts);
  if (info.total.routers > 0) row("routers", info.total.routers, info.active.routers);
  row("norms", info.total.norms, info.active.norms);
  row("classifier", info.total.classifier, info.active.classifier);
  row("together", info.total.total(), info.active.total());
  return text;
}

std::string flops_table(const ModelInfo& info, int64_t length) {
  const config::ExpertConfig& experts = info.description.model.experts;
  const bool dense = experts.count == 1, ensemble = !dense && config::is_drawn(experts.router);
  const std::string used = dense                 ? ""
                           : experts.active == 1 ? "one expert"
                                                 : fmt::format("{} experts", experts.active);
  std::string text =
      fmt::format("\n{:<28}{:>16}{:>16}\n", "FLOPs of a token", used, ensemble ? "ensemble" : "");
  const auto row = [&](const std::string& name, double one, double all) {
    text += fmt::format("  {:<26}{:>16}{:>16}\n", name, grouped(static_cast<int64_t>(one)),
                        ensemble ? grouped(static_cast<int64_t>(all)) : "");
  };
  const config::ModelConfig& model = info.description.model;
  const bool masked = config::is_masked_lm(model);
  if (config::has_encoder(model)) {
    row(masked ? "text" : "source", info.one_expert.source, info.all_experts.source);
  }
  row(masked ? "+ output, where asked" : "target", info.one_expert.target, info.all_experts.target);
  if (config::has_encoder(model)) {
    row(fmt::format("+ {}attention, {}", masked ? "" : "source ", length), info.one_expert.source_attention,
        info.all_experts.source_attention);
  }
  if (config::has_decoder(model)) {
    row(fmt::format("+ target attention, {}", length), info.one_expert.target_attention,
        info.all_experts.target_attention);
  }
  if (!dense && config::is_elastic(experts.router)) {
    for (int64_t k = 1; k < experts.count; k *= 2) {
      const auto at = store::count_token_flops(model, k, length);
      text += fmt::format("  {:<26}{:>16}\n", fmt::format("{} with k={}", masked ? "text" : "target", k),
                          grouped(static_cast<int64_t>(masked ? at.source : at.target)));
    }
  }
  return text +
         "  (a multiply-add is two; the attention's scores and sums are for sides of that many tokens)\n";
}

std::string to_text(const ModelInfo& info, int64_t length) {
  std::string text = fmt::format("model        {} ({})\n", info.path.string(), human_bytes(info.bytes));
  text += config::is_language_model(info.description.model)
              ? fmt::format("language     {}\n", info.description.target_language)
              : fmt::format("languages    {} -> {}\n", info.description.source_language,
                            info.description.target_language);
  if (!info.description.tags.empty())
    text += fmt::format("tags         {}\n", fmt::join(info.description.tags, ", "));
  if (!info.description.classes.empty())
    text += fmt::format("classes      {}\n", fmt::join(info.description.classes, ", "));
  text += shape_lines(info) + provenance_lines(info.description.provenance);
  text += parameter_table(info) + flops_table(info, length);
  return text + fmt::format("\n--experts    {}\n", fmt::join(info.modes, ", "));
}

}  // namespace

void add_info_command(Program& program) {
  auto options = std::make_shared<InfoOptions>();
  CLI::App& command = program.add({.name = "info",
                                   .summary = "Show a model: size, cost, experts, origin",
                                   .details = "Active parameters are those that a token meets with the "
                                              "experts that it uses in each expert layer.",
                                   .examples = "megin info run/model\n"
                                               "megin info run --json | jq .parameters.total"},
                                  [options](CommandContext& context) {
                                    const ModelInfo info = inspect(*options);
                                    context.out
                                        << (context.json ? to_json(info, options->length).dump() + "\n"
                                                         : to_text(info, options->length));
                                  });
  command.add_option("MODEL", options->model, "a model directory, or a run directory with a model in it")
      ->required()
      ->type_name("");
  command.add_option("--length", options->length, "tokens of a side for the attention's cost")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}).description(""))
      ->type_name("N")
      ->capture_default_str();
}

}  // namespace megin::cli
