#include "cli/decoding_options.h"

#include <spdlog/spdlog.h>

#include "base/error.h"
#include "base/processors.h"
#include "config/enums.h"

namespace megin::cli {
namespace {

std::string served_modes(const config::ModelConfig& config) {
  const int64_t layers = config::count_expert_layers(config);
  if (config::is_mixture(config)) {
    return fmt::format("the model serves {}path:0 to path:{}",
                       config::has_learned_prior(config) ? "router (or auto, which means it), and " : "",
                       config.mixture.components - 1);
  }
  if (layers == 0)
    return "the model is dense: sentence, token, position, batch, ensemble and path:0 all mean the same";
  const config::ExpertConfig& experts = config.experts;
  if (!config::is_drawn(experts.router)) {
    return fmt::format(
        "the model serves router (or auto, which means it){}{}",
        config::is_elastic(experts.router)
            ? fmt::format(
                  ", k=1 to k={} experts a token, or k=K,K,... with a number for each of its {} expert "
                  "layers",
                  experts.count, layers)
            : "",
        config::may_be_drawn_past(experts)
            ? ", and sentence, token, position, batch or path:E, which draw past it"
            : "");
  }
  return fmt::format(
      "the model serves sentence, token, position, batch, ensemble, and path:E or path:E,E,... with one "
      "expert from 0 "
      "to {} for all or for each of its {} expert layers",
      config.experts.count - 1, layers);
}

}  // namespace

void add_model_options(CLI::App& command, DecodingOptions& options) {
  command.add_option("MODEL", options.model, "model directory, or a run directory (then its model/)")
      ->required();
  command
      .add_option(
          "--experts", options.experts,
          "which expert a token meets: sentence, token, position, batch, ensemble, path:E or "
          "path:E,E,... where "
          "experts are drawn, or to draw past a router; router, or k=K or k=K,K,... with so many experts a "
          "token, where the model chooses; one number is for all expert layers, several are for each; "
          "auto: sentence, token for switch_random, or router")
      ->capture_default_str();
  command
      .add_option("--gate", options.gate,
                  "what experts' outputs are multiplied by, in place of the router's gates: 1 leaves them as "
                  "they are")
      ->check(CLI::NonNegativeNumber.description(""))
      ->type_name("X");
  command.add_flag("--unscaled", options.unscaled,
                   "leave experts' outputs as they are, of a model that megin calibrate scaled");
  command.add_option("--seed", options.seed, "of the draws of experts and samples")->capture_default_str();
  command
      .add_option("--batch-tokens", options.search.batch_tokens,
                  "source tokens times hypotheses decoded side by side; sets memory and speed, never results")
      ->capture_default_str();
  add_threads_option(command, options.threads);
}

void add_decoding_options(CLI::App& command, DecodingOptions& options) {
  add_model_options(command, options);
  search::SearchOptions& search = options.search.search;
  command.add_option("--beam", search.beam, "hypotheses kept for a sentence; 1: greedy")
      ->capture_default_str();
  command
      .add_option("--length-penalty", options.length_penalty,
                  "how hypotheses of different length compare: fairseq, gnmt or none")
      ->capture_default_str();
  command
      .add_option("--lenpen", search.alpha, "exponent of the length penalty; larger favours longer outputs")
      ->capture_default_str();
  command.add_option("--max-length-a", search.max_length_ratio, "most output tokens: A * source tokens + B")
      ->capture_default_str();
  command.add_option("--max-length-b", search.max_length_extra, "B of the same")->capture_default_str();
  command.add_option("--tag", options.tag, "target-language tag put before each source line, as <2de>");
}

namespace {

// What a model of a kind is, and what it is for.
struct KindText {
  std::string_view what, use;
};
KindText text_of(config::ModelKind kind) {
  switch (kind) {
    case config::ModelKind::kEncoderDecoder:
      return {"that translates", "use megin translate"};
    case config::ModelKind::kCausalLm:
      return {"that goes on with a text (causal_lm)", "use megin generate"};
    case config::ModelKind::kMaskedLm:
      return {"that restores masked tokens (masked_lm)", "megin evaluate --text measures it"};
  }
  __builtin_unreachable();
}

}  // namespace

void require_kind(const runtime::ModelBundle& bundle, config::ModelKind wanted, const std::string& path) {
  if (config::is_classifier(bundle.weights->config)) {
    fail_usage("{}: wanted a model {}, found a classifier; use megin classify", path, text_of(wanted).what);
  }
  const config::ModelKind found = bundle.weights->config.kind;
  if (found == wanted) return;
  fail_usage("{}: wanted a model {}, found one {}; {}", path, text_of(wanted).what, text_of(found).what,
             text_of(found).use);
}

runtime::BatchedSearch batched_search(const DecodingOptions& options) {
  runtime::BatchedSearch search = options.search;
  search.search.length_penalty =
      config::parse_enum<search::LengthPenalty>(options.length_penalty, "--length-penalty");
  return search;
}

runtime::Transformer serving_model(const runtime::ModelBundle& bundle, const DecodingOptions& options,
                                   uint64_t seed_offset) {
  if (options.unscaled && !bundle.weights->config.experts.scales) {
    fail_usage("--unscaled: the model has no scales to leave out; megin calibrate writes them");
  }
  try {
    config::Dispatch dispatch = config::parse_dispatch_or_auto(
        options.experts, options.seed + seed_offset, bundle.weights->config, config::DispatchMode::kSentence);
    dispatch.gate = options.gate;
    dispatch.scaled = !options.unscaled;
    return {bundle.weights, std::move(dispatch)};
  } catch (const UsageError& error) {
    fail_usage("{}: {}; {}", options.gate ? "--experts and --gate" : "--experts", error.what(),
               served_modes(bundle.weights->config));
  }
}

std::string describe(const config::Dispatch& dispatch) {
  return config::to_string(dispatch) + (dispatch.gate ? fmt::format(", gate {}", *dispatch.gate) : "") +
         (dispatch.scaled ? "" : ", unscaled");
}

void warn_about_tags(const runtime::ModelBundle& bundle, const DecodingOptions& options) {
  const auto& tags = bundle.directory->description.tags;
  if (tags.empty() || !options.tag.empty()) return;
  spdlog::warn(
      "the model was trained with target-language tags ({}); give --tag, or begin each line with one",
      fmt::join(tags, ", "));
}

int thread_count(const DecodingOptions& options) {
  return options.threads > 0 ? static_cast<int>(options.threads) : usable_processors();
}

}  // namespace megin::cli
