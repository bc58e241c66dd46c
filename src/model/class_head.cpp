#include "model/class_head.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "config/model_config.h"
#include "net/dropout.h"
#include "net/linear.h"
#include "text/vocabulary.h"

namespace megin::model {

ClassHead::ClassHead(const net::ParameterMemory& parameters)
    : hidden_(parameters.get("classifier.hidden.weight")),
      hidden_bias_(parameters.get("classifier.hidden.bias")),
      output_(parameters.get("classifier.output.weight")),
      output_bias_(parameters.get("classifier.output.bias")) {}

at::Tensor classified_rows(const data::TokenBatch& batch, int64_t passes) {
  const at::Tensor rows = at::empty({passes * batch.sentences}, at::kLong);
  int64_t* const row = rows.data_ptr<int64_t>();
  for (int64_t i = 0; i < passes * batch.sentences; ++i) {
    if (batch.target_length == 0) {  // a masked_lm's
      row[i] = i * batch.source_length;
      continue;
    }
    const auto begin = batch.target_input.begin() + i % batch.sentences * batch.target_length;
    const auto tokens = std::find(begin, begin + batch.target_length, text::kPadId) - begin;
    row[i] = i * batch.target_length + tokens - 1;
  }
  return rows;
}

at::Tensor ClassHead::logits(const at::Tensor& states, const data::TokenBatch& batch,
                             const net::ForwardContext& context) const {
  const at::Tensor looked_at = states.index_select(0, classified_rows(batch, context.passes));
  const net::DropoutSite site{
      .stack = config::Stack::kDecoder, .layer = 0, .place = net::DropoutSite::kClassifier};
  const at::Tensor hidden =
      net::dropout(at::tanh(net::linear(looked_at, hidden_, hidden_bias_, context.operations)),
                   net::dropout_mask(context, config::kClassifierDropout, site));
  return net::linear(hidden, output_, output_bias_, context.operations);
}

}  // namespace megin::model
