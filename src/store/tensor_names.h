// The one table of tensor names: what the training side writes and the serving side reads.
//
//   embedding.weight                       [V, d]   for source, target and output (share_embeddings: all)
//   source_embedding.weight                [Vs, d]  (decoder, none)
//   target_embedding.weight                [Vt, d]  (decoder, none)
//   output.weight                          [Vt, d]  (none)
//   {encoder,decoder}.positions.weight     [max_length, d]  (learned positions)
//   S.layers.I.self_attention.query_key_value.{weight,bias}   [3d, d], [3d]   rows: query, key, value
//   S.layers.I.self_attention.output.{weight,bias}            [d, d], [d]
//   S.layers.I.self_attention.norm.{weight,bias}              [d]      (rms_norm has no bias)
//   decoder.layers.I.cross_attention.query.{weight,bias}      [d, d], [d]
//   decoder.layers.I.cross_attention.key_value.{weight,bias}  [2d, d], [2d]   rows: key, value
//   decoder.layers.I.cross_attention.output.{weight,bias}, .norm.{weight,bias}
//   S.layers.I.feed_forward.{fc1,gate}.{weight,bias}          [f, d], [f]     (gate: gated activations only)
//   S.layers.I.feed_forward.fc2.{weight,bias}                 [d, f], [d]
//   S.layers.I.feed_forward.norm.{weight,bias}                [d]
//   S.layers.I.feed_forward.router.weight  [N, d]  (learned routers: scores are h times its transpose)
//   S.layers.I.feed_forward.router.noise   [N, d]  (noisy)
//   S.layers.I.feed_forward.router.bias    [N]     (biased: added before the choice)
//   S.layers.I.feed_forward.router.symbols [Vs or Vt, distilled_width]  (distilled: a vector of each symbol)
//   S.layers.I.feed_forward.router.centres [N, distilled_width]         (distilled: and of each expert)
//   S.layers.I.feed_forward.router.table   [Vs or Vt]  (hash: the expert of each symbol, as a whole number)
//   S.norm.{weight,bias}                                      [d]      (pre-norm only: after the last layer)
//
// In an expert layer fc1, gate and fc2 carry a leading dimension of experts: [N, f, d], [N, f],
// [N, d, f], [N, d]. S is encoder or decoder, I counts from 0. All tensors are fp32.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/dispatch.h"
#include "config/model_config.h"

namespace megin::store {

struct TensorShape {
  std::string name;
  std::vector<int64_t> shape;
};

// Whether gradients change a tensor: not router.bias, which moves by a rule of its own, nor router.table.
bool is_trained(const std::string& name);

// "encoder" or "decoder".
std::string stack_name(config::Stack stack);

// "encoder.layers.3." and so on.
std::string layer_prefix(config::Stack stack, int64_t layer);

// Every tensor of a model with its shape, in the order in which they are declared and stored.
std::vector<TensorShape> tensor_shapes(const config::ModelConfig& config);

}  // namespace megin::store
