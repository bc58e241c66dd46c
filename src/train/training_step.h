// One update of the parameters: forward and backward over the micro-batches, clipping, the optimiser.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "config/train_config.h"
#include "data/token_batch.h"
#include "model/layer.h"
#include "model/transformer.h"
#include "objective/vocabulary_loss.h"
#include "optim/adam.h"

namespace megin::train {

class Teacher;

// What the optimiser carries from update to update; belongs into checkpoints. All spans as long as the
// model's flat memory.
struct OptimizerState {
  OptimizerState(const model::Transformer& model, const config::TrainConfig& config);

  std::vector<float> first_moments;
  std::vector<float> second_moments;
  std::vector<float> average;  // moving average of the values; empty without average_decay
  std::vector<optim::Segment> segments;

  // What decides whether a segment is updated: with unused_expert = skip, whether its expert (expert layer,
  // index) was drawn, -1 for what is no expert's; and when it is trained at all.
  enum class When { kAlways, kFirstStage, kNever };
  struct Owner {
    int64_t expert_layer = -1;
    int64_t expert = -1;
    When trained = When::kAlways;

    bool operator==(const Owner&) const = default;
  };
  std::vector<Owner> owners;
};

// What the router of one expert layer did, or how a mixture shared out its sentences; summed over
// micro-batches.
struct RoutingReport {
  bool mixture = false;  // then there is no stack and no layer
  config::Stack stack = config::Stack::kEncoder;
  int64_t layer = 0;
  routing::RouteStatistics statistics = {};
  double balance = 0;       // the balance loss, without its weight, times the tokens routed
  double z = 0;             // the z-loss the same
  double distillation = 0;  // and the loss of a distilled router

  // What it is about.
  bool same_place(const RoutingReport& other) const {
    return mixture == other.mixture && stack == other.stack && layer == other.layer;
  }
  // Of the same place.
  void add(const RoutingReport& other);
};

// Sums over the micro-batches of an update. Losses in nats.
struct UpdateReport {
  int64_t sentences = 0;
  int64_t source_tokens = 0;  // not padding
  int64_t target_tokens = 0;
  int64_t predictions = 0;  // what losses are divided by: target tokens, of a classifier sentences
  std::array<double, 2> cross_entropy = {0, 0};  // smoothed, of each pass
  std::array<double, 2> nll = {0, 0};
  double consistency = 0;                   // CR, without alpha
  double distillation = 0;                  // D, without its weight
  std::vector<RoutingReport> routing = {};  // of each expert layer whose router counts; encoder first
  double gradient_norm = 0;                 // of the mean gradient, before clipping
  double learning_rate = 0;
};

// The forms of operations that the configuration asks for.
net::Operations operations_of(const config::TrainConfig& config);

// The rate of each feed-forward that learns one (concrete dropout), by "encoder_0" and so on; of others none.
std::map<std::string, double> learned_dropout_rates(const model::Transformer& model);

// What a step may have beside its model.
struct StepCompany {
  // Of a model with relative positions, what it remembers of the batches before; null: each batch stands
  // alone.
  model::SegmentMemory* memory = nullptr;
  const Teacher* teacher = nullptr;                // null: none
  model::SegmentMemory* teacher_memory = nullptr;  // of the teacher, as `memory`; not null beside one
};

class TrainingStep {
 public:
  // Keeps references to all of them.
  TrainingStep(const config::TrainConfig& config, model::Transformer& model, ThreadPool& pool,
               StepCompany company = {});

  // Update number `update` (completed updates before it). The gradient is the sum over all micro-batches
  // divided by their target tokens (sentences of a classifier), so that accumulating is the same as a larger
  // batch. Throws Error when the loss or the gradient is not finite; parameters are then as they were.
  UpdateReport run(std::span<const data::TokenBatch> micro_batches, int64_t update, OptimizerState& state);

  // Forward and backward of one micro-batch: adds to the gradients and to the report.
  void accumulate(const data::TokenBatch& batch, int64_t update, int64_t micro_batch, UpdateReport& report);

 private:
  at::Tensor forward(const data::TokenBatch& batch, net::ForwardContext context,
                     model::RouteRecord& record) const;
  at::Tensor forward_perturbed(const data::TokenBatch& batch, net::ForwardContext context,
                               model::RouteRecord& record) const;
  objective::VocabularyLoss loss_of(const at::Tensor& states, const data::TokenBatch& batch,
                                    const net::ForwardContext& pass) const;
  bool passes_together() const;
  void accumulate_mixture(const data::TokenBatch& batch, const net::ForwardContext& context,
                          UpdateReport& report) const;
  at::Tensor routing_loss(const model::RouteRecord& record, const data::TokenBatch& batch) const;
  at::Tensor concrete_loss(const data::TokenBatch& batch) const;
  void move_biases(const UpdateReport& report);
  void freeze_in_average(OptimizerState& state) const;
  void mark_active(int64_t update, size_t micro_batches, OptimizerState& state) const;
  net::ForwardContext context(int64_t update, int64_t micro_batch) const;

  const config::TrainConfig& config_;
  model::Transformer& model_;
  ThreadPool& pool_;
  StepCompany company_;
  optim::Adam adam_;
};

}  // namespace megin::train
