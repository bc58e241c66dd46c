// What BERT and RoBERTa have in common as transformers stores them: an encoder with norms behind the
// sublayers and over the embeddings, learned positions, and a vector for each segment of the input. megin
// reads one segment: its vector is added to the positions (Link::added), and the others are kept for the way
// back.
#pragma once

#include <string>

#include "exchange/plan.h"
#include "exchange/their_settings.h"

namespace megin::exchange {

enum class BertHead {
  kNone,
  kTokens,   // restores masked tokens
  kClasses,  // tells the class of a text
};

struct BertBody {
  std::string prefix;  // of the names of its tensors: "bert."; or none
  BertHead head = BertHead::kTokens;
  bool keeps_pooler = true;    // for the way back; false: it is of the head
  int64_t first_position = 0;  // row of the first token's position
};

// By `architectures`: STEMModel is a body alone, whose tensors have no prefix; STEMForMaskedLM and
// STEMForPreTraining restore tokens, as does a model that does not say; STEMForSequenceClassification tells
// classes. Throws Error naming any other.
BertBody body_of(const TheirSettings& theirs, const std::string& stem, const std::string& prefix);

// The plan's model, but for its vocabulary; the labels of its classes; and the links of the body. Throws
// Error for a setting that megin's models do not have.
void add_body(const TheirSettings& theirs, const BertBody& body, Plan& plan);

// weight and bias of a linear layer or a norm.
void add_links(const std::string& ours, const std::vector<std::string>& theirs, std::vector<Link>& links);

}  // namespace megin::exchange
