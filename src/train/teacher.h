// The model that another one learns from, beside its data (train.objective.teacher).
#pragma once

#include <filesystem>

#include "data/prepared_data.h"
#include "model/transformer.h"
#include "objective/vocabulary_loss.h"

namespace megin::train {

// Const in use. Memory: its weights, and as much again that training would need.
class Teacher {
 public:
  // Opens a model directory, or that of a run, for teaching a model of the configuration `student` on `data`.
  // Throws Error where it is none, was made with other subwords or labels than the data, is a mixture or of
  // another kind than the student, or reads shorter sides than that.
  Teacher(const std::filesystem::path& path, const data::PreparedData& data,
          const config::ModelConfig& student);

  // What it predicts the targets of a batch from: without dropout, with its own router and as many experts as
  // it is used with by default, or the mean of random ones. `memory` as of model::Transformer::forward().
  objective::TeacherInputs predict(const data::TokenBatch& batch, const net::Operations& operations,
                                   model::SegmentMemory& memory) const;

  // The same of a classifier: its logits of the sentences of a batch, [sentences, classes]. No gradients.
  at::Tensor class_logits(const data::TokenBatch& batch, const net::Operations& operations) const;

  const config::ModelConfig& config() const { return model_->config(); }
  // Experts that a token meets in each expert layer.
  int64_t active() const;

 private:
  std::unique_ptr<model::Transformer> model_;
  config::Dispatch dispatch_;
};

// RUN/teacher.json: the teacher of a run and the checksum of its weights.
void remember_teacher(const std::filesystem::path& teacher, const std::filesystem::path& run);
// Throws Error where a run with checkpoints goes on with another teacher than it began with (an empty path:
// none). Where it lies may change.
void check_teacher(const std::filesystem::path& teacher, const std::filesystem::path& run);

}  // namespace megin::train
