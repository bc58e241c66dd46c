#include "train/predictions.h"

#include <ATen/ATen.h>

#include "text/vocabulary.h"

namespace megin::train {

Predictions predictions_of(const model::Transformer& model, const at::Tensor& states,
                           const data::TokenBatch& batch, int64_t passes, net::Operations operations) {
  if (!config::is_masked_lm(model.config())) return {states, batch.target_output};
  Predictions found;
  std::vector<int64_t> rows;
  for (size_t i = 0; i < batch.target_output.size(); ++i) {
    if (batch.target_output[i] == text::kPadId) continue;
    rows.push_back(static_cast<int64_t>(i));
    found.targets.push_back(batch.target_output[i]);
  }
  if (rows.empty()) {  // a text of line ends: one row that asks for nothing, as no tensor is empty
    rows.push_back(0);
    found.targets.push_back(text::kPadId);
  }
  const auto positions = static_cast<int64_t>(batch.target_output.size());
  const size_t asked = rows.size();
  for (int64_t pass = 1; pass < passes; ++pass) {
    for (size_t i = 0; i < asked; ++i) rows.push_back(pass * positions + rows[i]);
  }
  found.states = model.transformed(states.index_select(0, at::tensor(rows, at::kLong)), operations);
  return found;
}

}  // namespace megin::train
