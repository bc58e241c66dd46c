#include "train/validation.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "base/clock.h"
#include "metric/corpus.h"
#include "metric/perplexity.h"
#include "model/class_head.h"
#include "objective/vocabulary_loss.h"
#include "routing/scores.h"
#include "runtime/batched_search.h"
#include "runtime/transformer.h"
#include "text/unicode.h"
#include "text/vocabulary.h"
#include "train/batches.h"
#include "train/mixture_step.h"
#include "train/predictions.h"

namespace megin::train {
namespace {

// Puts the moving average into the parameters while it lives.
class ServedValues {
 public:
  explicit ServedValues(TrainingState& state) : state_(state) { exchange(); }
  ServedValues(const ServedValues&) = delete;
  ServedValues& operator=(const ServedValues&) = delete;
  ~ServedValues() { exchange(); }

 private:
  void exchange() {
    std::swap_ranges(state_.optimizer.average.begin(), state_.optimizer.average.end(),
                     state_.model.parameters().values().begin());
  }
  TrainingState& state_;
};

// The first choice of each token, behind what was there of the same layers.
void add_routes(const model::RouteRecord& record, std::vector<store::RoutingSnapshot::Layer>& routes) {
  for (size_t i = 0; i < record.layers.size(); ++i) {
    const auto& of = record.layers[i];
    if (!of.experts.defined()) return;  // every token meets every expert
    if (i == routes.size()) {
      routes.push_back({fmt::format("{} {}", store::stack_name(of.stack), of.layer), {}});
    }
    const int64_t rows = of.experts.size(0), choices = of.experts.size(1);
    const int64_t* const expert = of.experts.data_ptr<int64_t>();
    for (int64_t row = 0; row < rows; ++row) {
      if (expert[row * choices] >= 0) {
        routes[i].experts.push_back(static_cast<uint16_t>(expert[row * choices]));
      }
    }
  }
}

// The loss over sentences; adds to how many classes are right. The lower class of two that are as likely.
metric::LogLoss classify(const TrainingState& state, const data::TokenBatch& batch, const at::Tensor& states,
                         const net::ForwardContext& context, metric::Accuracy& accuracy) {
  const at::Tensor logits = model::ClassHead(state.model.parameters()).logits(states, batch, context);
  const at::Tensor likeliest = routing::highest(logits, 1);
  const int64_t* const found = likeliest.data_ptr<int64_t>();
  for (size_t i = 0; i < batch.labels.size(); ++i) accuracy.right += found[i] == batch.labels[i] ? 1 : 0;
  accuracy.all += batch.labels.size();
  return {
      .nats =
          objective::class_loss({.logits = logits, .labels = batch.labels}, {.label_smoothing = 0}).nll[0],
      .tokens = batch.labels.size()};
}

// Also fills in the accuracy of a classifier, and the routes where the model has a router of its own.
metric::LogLoss measure_loss(const TrainingState& state, const data::PreparedData& data,
                             const config::TrainConfig& config, const config::Dispatch& dispatch,
                             ValidationResult& result) {
  const at::NoGradGuard no_gradients;
  const auto stream = validation_batches(config, state.model.config(), data);
  const net::ForwardContext context{.training = false, .dispatch = dispatch};
  metric::LogLoss loss;
  model::SegmentMemory memory;
  for (int64_t i = stream->batches(); i > 0; --i) {
    const data::TokenBatch batch = stream->next();
    if (config::is_mixture(state.model.config())) {
      loss += {.nats = mixture_nll(state.model, batch, context),
               .tokens = static_cast<uint64_t>(batch.target_tokens)};
      continue;
    }
    model::RouteRecord record;
    const at::Tensor states = state.model.forward(batch, context, &record, {}, &memory);
    const bool by_token = state.model.config().experts.router != config::RouterKind::kExpertChoice;
    if (dispatch.mode == config::DispatchMode::kRouter && by_token) add_routes(record, result.routes);
    if (config::is_classifier(state.model.config())) {
      if (!result.accuracy) result.accuracy.emplace();
      loss += classify(state, batch, states, context, *result.accuracy);
      continue;
    }
    const Predictions predictions =
        predictions_of(state.model, states, batch, context.passes, context.operations);
    loss += {.nats = objective::chunked_nll({.states = predictions.states,
                                             .output_weight = state.model.output_weight(),
                                             .targets = predictions.targets,
                                             .output_bias = state.model.output_bias()}),
             .tokens = static_cast<uint64_t>(batch.target_tokens)};
  }
  return loss;
}

// A model over the flat memory of a training that stands still.
std::shared_ptr<const runtime::Weights> live_weights(const TrainingState& state) {
  const net::ParameterMemory& parameters = state.model.parameters();
  return std::make_shared<runtime::Weights>(state.model.config(), [&parameters](const std::string& name) {
    return parameters.values_of(parameters.find(name));
  });
}

search::SearchOptions search_options(const config::ValidationConfig& config) {
  search::SearchOptions options;
  options.beam = config.beam;
  options.max_length_ratio = 1.2;  // fairseq's validation recipe (thor spec 4.6)
  options.max_length_extra = 10;
  return options;
}

std::vector<std::string> translate(const TrainingState& state, const data::PreparedData& data,
                                   const config::TrainConfig& config, ThreadPool& pool) {
  const int64_t all = data.valid.size();
  const int64_t wanted = config.validation.sentences;
  const int64_t count = wanted > 0 ? std::min(wanted, all) : all;
  const runtime::Transformer model(live_weights(state), validation_dispatch(config, state.model.config()));
  std::vector<search::Source> sources;
  for (int64_t i = 0; i < count; ++i) {
    const auto tokens = data.valid.example(i).source;
    search::Source source{.tokens = {tokens.begin(), tokens.end()}, .sentence = static_cast<uint64_t>(i)};
    source.tokens.push_back(text::kEndId);
    sources.push_back(std::move(source));
  }
  const runtime::BatchedSearch batched{.search = search_options(config.validation), .sampling = {}};
  std::vector<std::string> translations;
  for (const auto& found : runtime::search_all(model, sources, {}, batched, pool)) {
    translations.push_back(data.target_subword->decode(found.front().tokens));
  }
  return translations;
}

}  // namespace

config::Dispatch validation_dispatch(const config::TrainConfig& config, const config::ModelConfig& model) {
  return config::parse_dispatch_or_auto(config.validation.experts, static_cast<uint64_t>(config.seed), model,
                                        config::DispatchMode::kEnsemble);
}

std::optional<double> share_of(const std::optional<metric::Accuracy>& accuracy) {
  return accuracy ? std::optional(accuracy->share()) : std::nullopt;
}

double merit(const BestValidation& validation, const config::ValidationConfig& config) {
  if (config.best_by == "accuracy" && validation.accuracy) return *validation.accuracy;
  return config.best_by == "bleu" && validation.bleu ? *validation.bleu : -validation.loss;
}

ValidationResult validate(TrainingState& state, const data::PreparedData& data,
                          const config::TrainConfig& config, ThreadPool& pool) {
  const double started = system_clock().steady_seconds();
  const ServedValues served(state);
  const config::Dispatch dispatch = validation_dispatch(config, state.model.config());
  ValidationResult result;
  const config::ModelConfig& model = state.model.config();
  result.routing =
      model.experts.count > 1 || config::is_mixture(model) ? config::to_string(dispatch) : "dense";
  const metric::LogLoss loss = measure_loss(state, data, config, dispatch, result);
  result.loss = loss.per_token();
  if (data.task == config::Task::kBytes) {
    result.bits_per_byte = loss.bits_per_token();
  } else if (config::is_masked_lm(model)) {
    result.bits_per_token = loss.bits_per_token();
    // Words are only known of the whole text.
  } else if (data.task == config::Task::kLanguageModel && config.validation.sentences == 0) {
    result.word_perplexity = loss.perplexity_per(text::count_words_and_ends(data.valid_text.target));
  }
  if (config.validation.bleu) {
    const std::vector<std::string> translations = translate(state, data, config, pool);
    const auto metric = metric::make_metric("bleu");
    metric::Corpus corpus(*metric);
    for (size_t i = 0; i < translations.size(); ++i) {
      corpus.add(translations[i], std::span(&data.valid_text.target[i], 1));
    }
    const metric::Score score = corpus.score();
    result.bleu = score.value;
    result.signature = score.signature;
    result.sentences = static_cast<int64_t>(translations.size());
    result.search = config.validation.beam == 1 ? "greedy" : fmt::format("beam {}", config.validation.beam);
  }
  result.seconds = system_clock().steady_seconds() - started;
  return result;
}

}  // namespace megin::train
