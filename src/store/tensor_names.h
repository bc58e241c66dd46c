// The one table of tensor names: what the training side writes and the serving side reads.
//
//   embedding.weight                       [V, d]   for source, target and output (share_embeddings: all),
//                                                   or for source and target (inputs)
//   source_embedding.weight                [Vs, d]  (decoder, none)
//   target_embedding.weight                [Vt, d]  (decoder, none)
//   output.weight                          [Vt, d]  (none, inputs)
//   embedding_norm.{weight,bias}           [d]      (norm_embeddings: of the encoder)
//   output_transform.{weight,bias}         [d, d], [d]  (masked_lm, output_transform)
//   output_transform_norm.{weight,bias}    [d]      (the same)
//   output.bias                            [Vt]     (output_bias)
//   {encoder,decoder}.positions.weight     [max_length, d]  (learned positions)
//                                          [position_buckets, heads]  (bucketed positions)
//   decoder.relative.{content,distance}_bias  [a]  (relative positions: u and v of Dai et al. 2019)
//   S.layers.I.self_attention.query_key_value.{weight,bias}   [3a, d], [3a]   rows: query, key, value
//   S.layers.I.self_attention.distance.weight                 [a, d]  (relative positions)
//   S.layers.I.self_attention.output.{weight,bias}            [d, a], [d]
//   S.layers.I.self_attention.norm.{weight,bias}              [d]      (rms_norm has no bias)
//   decoder.layers.I.cross_attention.query.{weight,bias}      [a, d], [a]
//   decoder.layers.I.cross_attention.key_value.{weight,bias}  [2a, d], [2a]   rows: key, value
//   decoder.layers.I.cross_attention.output.{weight,bias}, .norm.{weight,bias}
//   S.layers.I.feed_forward.{fc1,gate}.{weight,bias}          [f, d], [f]     (gate: gated activations only)
//   S.layers.I.feed_forward.fc2.{weight,bias}                 [d, f], [d]
//   S.layers.I.feed_forward.norm.{weight,bias}                [d]
//   S.layers.I.feed_forward.router.weight  [N, d]  (learned and fixed routers: scores are h W^T)
//   S.layers.I.feed_forward.router.noise   [N, d]  (noisy)
//   S.layers.I.feed_forward.router.bias    [N]     (biased: added before the choice)
//   S.layers.I.feed_forward.router.symbols [Vs or Vt, distilled_width]  (distilled: of each symbol)
//   S.layers.I.feed_forward.router.centres [N, distilled_width]         (distilled: of each expert)
//   S.layers.I.feed_forward.router.kernel  [5]  (distilled, cnn: of the symbols up to a token, last first)
//   S.layers.I.feed_forward.router.table   [Vs or Vt]  (hash: each symbol's expert, as a whole number)
//                                          [max_length, k]  (hash, position: each position's k experts)
//   S.layers.I.feed_forward.scale          [N]     (scales: of the output with 1 ... N experts a token)
//   S.layers.I.feed_forward.dropout.logit  [1]     (concrete dropout: log p - log(1 - p) of the learned rate
//   p) S.layers.I.feed_forward.shared.*       as fc1, gate and fc2 of one feed-forward (shared)
//   S.layers.I.inserted.J.{fc1,gate,fc2,norm}.{weight,bias}  sublayer J of the layer behind I (insert)
//   S.layers.I.inserted.{router.*,scale}   as feed_forward.router.* and feed_forward.scale
//   S.layers.I.inserted.shared.J.*         as inserted.J.* of one expert (shared)
//   S.norm.{weight,bias}                   [d]  (pre-norm only: after the last layer)
//   decoder.Z.norm.{weight,bias}           [d]  (the same of the decoders Z = 1 ... of a mixture)
//   mixture.begin                          [K, d]  (mixture, begin: the decoder's first vector)
//   mixture.prior.hidden.{weight,bias}     [d, d], [d]  (mixture, learned prior)
//   mixture.prior.output.{weight,bias}     [K, d], [K]
//   classifier.hidden.{weight,bias}        [d, d], [d]  (classifier: log softmax of
//   output(tanh(hidden(state)))) classifier.output.{weight,bias}        [C, d], [C]  (C classes)
//
// Where tokens choose among N experts, their fc1, gate and fc2, and the norms of inserted ones, carry a
// leading dimension of experts: [N, f, d], [N, f], [N, d, f], [N, d]. S is encoder or decoder, I and J count
// from 0; of a mixture of decoders, layer i of decoder z has the number z * decoder_layers + i. A causal_lm
// has the decoder alone, without cross-attention and source_embedding; a masked_lm the encoder alone, without
// target_embedding (with share_embeddings none it has source_embedding and output). a is the width of all
// heads together, mostly d; with relative positions self_attention has no biases; with biases: false neither
// it nor cross_attention, fc1, gate and fc2. All tensors are fp32.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/model_config.h"

namespace megin::store {

struct TensorShape {
  std::string name;
  std::vector<int64_t> shape;
  int64_t experts = 0;       // N when the first dimension counts experts; 0: it does not
  int64_t expert_layer = 0;  // of those: number of their expert layer over both stacks, encoder first
  bool trained = true;  // by gradients: not router.bias, which moves by a rule of its own, nor router.table,
                        // nor the weight of a fixed router, nor scale
};

// "encoder" or "decoder".
std::string stack_name(config::Stack stack);

// "decoder.norm", of the further decoders of a mixture "decoder.1.norm" and so on.
std::string final_norm_name(config::Stack stack, int64_t decoder = 0);

// "encoder.layers.3." and so on.
std::string layer_prefix(config::Stack stack, int64_t layer);

// What the names of an expert layer's tensors begin with: "encoder.layers.3.feed_forward.", or "inserted.".
std::string expert_prefix(const config::ModelConfig& config, config::Stack stack, int64_t layer);

// "decoder.layers.3.feed_forward.scale": of an expert layer of a model that has scales.
std::string scale_name(const config::ModelConfig& config, config::Stack stack, int64_t layer);

// Every tensor of a model with its shape, in the order in which they are declared and stored.
std::vector<TensorShape> tensor_shapes(const config::ModelConfig& config);

}  // namespace megin::store
