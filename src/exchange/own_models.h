// Models that megin made itself in the form of an architecture of transformers that computes the same: the
// files beside the weights are made up, so that read_plan() reads them as those of any other checkpoint.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "store/averaging.h"
#include "store/model_directory.h"

namespace megin::exchange {

// A model with what the architecture has and megin leaves out: positions as a table, and a bias on the
// logits.
struct ForeignForm {
  config::ModelConfig model;
  std::vector<store::FloatTensor> tensors;
};

// A causal_lm becomes GPT-2, an encoder_decoder Marian. Writes config.json and the tokenizer files into
// `folder` and returns the model that they describe; the special symbols have rows there, so that logits stay
// what they are. Throws UsageError naming the setting that the architecture does not have: experts, other
// norms, positions, activations, tables of vectors or tokenizers, classes, and so on.
ForeignForm describe_own_model(const store::ModelDirectory& model, const std::filesystem::path& folder);

// What a refusal of a model with experts wanted, found, and says to do; `kind` as in Plan.
std::string wanted_no_experts(const std::string& kind);

}  // namespace megin::exchange
