// A model directory opened for translating: description, weights and subword models.
#pragma once

#include <filesystem>
#include <memory>

#include "runtime/transformer.h"
#include "text/subword.h"

namespace megin::runtime {

// Const after opening and safe to share between threads.
struct ModelBundle {
  std::shared_ptr<const store::ModelDirectory> directory;
  std::shared_ptr<const Weights> weights;
  text::SubwordModel source, target;  // copies of one when the vocabulary is joint
};

// Opens a model directory, or the one inside a run directory (its model/). Throws Error naming what is
// missing or does not fit.
ModelBundle open_model(const std::filesystem::path& path);

}  // namespace megin::runtime
