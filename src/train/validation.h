// What a model is worth on the validation set: its loss, teacher-forced, and, where it translates, the BLEU
// of its translations, made by the same search and the same runtime that serve it; where it classifies, how
// many of its classes are right.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "config/run_config.h"
#include "data/prepared_data.h"
#include "metric/accuracy.h"
#include "store/routing_snapshot.h"
#include "train/run_directory.h"

namespace megin::train {

struct ValidationResult {
  double loss = 0;  // nats a token (of a masked_lm a masked one, of a classifier a sentence), not smoothed
  std::optional<double> word_perplexity;          // of a causal_lm, over the whole set: a word or line end
  std::optional<double> bits_per_byte;            // of a text of bytes
  std::optional<double> bits_per_token;           // of a masked_lm: for each masked token, as the loss
  std::optional<metric::Accuracy> accuracy = {};  // of a classifier
  std::optional<double> bleu;                     // sacreBLEU's default
  std::string signature;                          // of the BLEU
  std::string routing;                            // the dispatch used, as --experts takes it
  std::string search;                             // "greedy" or "beam 5"
  int64_t sentences = 0;                          // translated
  std::vector<store::RoutingSnapshot::Layer> routes;  // of a model with a router of its own, encoder first
  double seconds = 0;
};

// The dispatch that validations use: `auto` is the ensemble, which has no noise, or the model's router.
config::Dispatch validation_dispatch(const config::TrainConfig& config, const config::ModelConfig& model);

// As it is kept in records.
std::optional<double> share_of(const std::optional<metric::Accuracy>& accuracy);

// The number by which validations are compared; more is better.
double merit(const BestValidation& validation, const config::ValidationConfig& config);

// Measures the served values. The same numbers at any thread count. `state` is left as it is; its parameters
// are exchanged for the moving average meanwhile, where there is one.
ValidationResult validate(TrainingState& state, const data::PreparedData& data,
                          const config::TrainConfig& config, ThreadPool& pool);

}  // namespace megin::train
