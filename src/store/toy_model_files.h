// A very small model for tests.
#pragma once

#include <vector>

#include "store/averaging.h"
#include "store/model_directory.h"
#include "store/tensor_names.h"

namespace megin::store {

// One dense layer on each side, width 4.
inline ModelDescription toy_description() {
  ModelDescription description;
  config::ModelConfig& model = description.model;
  model.width = 4;
  model.feed_forward = 6;
  model.heads = 2;
  model.encoder_layers = model.decoder_layers = 1;
  model.source_vocabulary = model.target_vocabulary = 10;
  description.source_language = "en";
  description.target_language = "de";
  description.tags = {"<2de>"};
  description.provenance = {.method = "thor",
                            .updates = 1234,
                            .seeds = {1, 18446744073709551615U},
                            .data_checksum = "0123456789abcdef",
                            .scores = {{"bleu", 41.02}, {"loss", 2.5}},
                            .averaged = {},
                            .megin_version = ""};
  return description;
}

// Its tensors; value i of each is `first` + i.
inline std::vector<FloatTensor> toy_tensors(const config::ModelConfig& model, float first = 0) {
  std::vector<FloatTensor> tensors;
  for (const TensorShape& wanted : tensor_shapes(model)) {
    FloatTensor tensor{.name = wanted.name, .shape = wanted.shape, .values = {}};
    const int64_t count = element_count(wanted.shape);
    for (int64_t i = 0; i < count; ++i) tensor.values.push_back(first + static_cast<float>(i));
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

}  // namespace megin::store
