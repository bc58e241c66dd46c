// For tests of training: a small model with its optimiser and step, and pairs for it.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "data/example_set.h"
#include "net/initialisation.h"
#include "train/training_step.h"

namespace megin::train {

inline config::ModelConfig small_model(int64_t experts) {
  config::ModelConfig config;
  config.width = 16;
  config.feed_forward = 24;
  config.heads = 2;
  config.encoder_layers = config.decoder_layers = 2;
  config.dropout = 0;
  config.max_length = 32;
  config.source_vocabulary = config.target_vocabulary = 30;
  config.experts.count = experts;
  return config;
}

inline config::TrainConfig settings() {
  config::TrainConfig config;
  config.objective.passes = 2;
  config.optimizer.warmup = 10;
  config.optimizer.warmup_start = 1e-3;
  return config;
}

inline config::TrainConfig one_pass(const config::RoutingConfig& routing = {}) {
  config::TrainConfig config = settings();
  config.objective.passes = 1;
  config.routing = routing;
  return config;
}

// With such experts in every layer.
inline config::ModelConfig routed_model(config::ExpertConfig experts) {
  config::ModelConfig model = small_model(experts.count);
  experts.every = 1;
  model.experts = experts;
  return model;
}

// A router and how it is trained.
struct Routed {
  config::ExpertConfig experts;
  config::RoutingConfig routing;
};

inline data::MemoryExamples four_pairs() {
  data::MemoryExamples examples;
  examples.add({5, 6, 7, 8}, {9, 10});
  examples.add({11, 12}, {13, 14, 15, 16, 17});
  examples.add({18, 6, 7}, {20, 21, 22});
  examples.add({23}, {24});
  return examples;
}

inline data::TokenBatch batch_of(std::vector<int64_t> indices) {
  return data::make_batch(four_pairs(), indices);
}

// A model, its optimiser and a step over it.
struct Trainer {
  Trainer(const config::ModelConfig& model_config, const config::TrainConfig& train_config, int threads = 1)
      : config(train_config),
        model(model_config, config.routing),
        pool(threads),
        state(model, config),
        step(config, model, pool) {
    net::initialise(model.parameters(), model_config, 1);
  }
  UpdateReport run(std::vector<data::TokenBatch> batches, int64_t update) {
    return step.run(batches, update, state);
  }
  config::TrainConfig config;
  model::Transformer model;
  ThreadPool pool;
  OptimizerState state;
  TrainingStep step;
};

inline double largest_difference(std::span<const float> a, std::span<const float> b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max<double>(largest, std::abs(a[i] - b[i]));
  return largest;
}

}  // namespace megin::train
