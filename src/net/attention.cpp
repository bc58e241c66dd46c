#include "net/attention.h"

#include <ATen/ATen.h>

#include <cmath>

#include "net/dropout.h"
#include "net/linear.h"
#include "net/positions.h"

namespace megin::net {
namespace {

// [B * T, parts * d] -> `parts` tensors [B, heads, T, d / heads].
std::vector<at::Tensor> split_heads(const at::Tensor& x, const BatchShape& shape, int64_t heads,
                                    int64_t parts) {
  const int64_t head_width = x.size(-1) / (parts * heads);
  return x.view({shape.sentences, shape.length, parts, heads, head_width}).permute({2, 0, 3, 1, 4}).unbind(0);
}

// q, already scaled: [B, H, T, dh], k, v: [B, H, S, dh] -> [B * T, d].
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& mask,
                  const DropoutMask& probabilities) {
  const at::Tensor scores = at::matmul(q, k.transpose(-2, -1)) + mask;
  const at::Tensor weights = dropout(at::softmax(scores, -1), probabilities);
  const at::Tensor mixed = at::matmul(weights, v);
  return mixed.transpose(1, 2).reshape({q.size(0) * q.size(2), q.size(1) * q.size(3)});
}

// [heads, 2 T - 1] by the offset of the key -> [heads, T, T]: row t begins at offset -t, so that rows of 2 T
// numbers, read as rows of one less, are those.
at::Tensor by_query_and_key(const at::Tensor& bias, int64_t length) {
  const int64_t heads = bias.size(0), row = 2 * length;
  return at::constant_pad_nd(bias, {0, 1})
      .unsqueeze(1)
      .expand({heads, length, row})
      .reshape({heads, length * row})
      .narrow(1, length - 1, length * (row - 1))
      .view({heads, length, row - 1})
      .narrow(2, 0, length);
}

// What products of queries and keys are multiplied by.
double score_scale(const config::ModelConfig& config) {
  return config.scale_attention ? 1.0 / std::sqrt(static_cast<double>(config::width_of_head(config))) : 1.0;
}

}  // namespace

SelfAttention::SelfAttention(const ParameterMemory& parameters, const std::string& prefix,
                             const config::ModelConfig& config)
    : heads_(config.heads),
      scale_(score_scale(config)),
      rotary_(config.positions == config::Positions::kRotary),
      projection_weight_(parameters.get(prefix + "query_key_value.weight")),
      projection_bias_(parameters.get_if(prefix + "query_key_value.bias")),
      output_weight_(parameters.get(prefix + "output.weight")),
      output_bias_(parameters.get_if(prefix + "output.bias")) {}

at::Tensor SelfAttention::forward(const Inputs& in, const DropoutMask& probabilities) const {
  const at::Tensor projected = linear(in.x, projection_weight_, projection_bias_, in.operations);
  if (in.fused && !rotary_ && probabilities.probability <= 0) {
    return linear(fused_self_attention(projected, in.position_bias, in.fused), output_weight_, output_bias_,
                  in.operations);
  }
  auto parts = split_heads(projected, in.shape, heads_, 3);
  if (rotary_) {
    parts[0] = rotate(parts[0]);
    parts[1] = rotate(parts[1]);
  }
  const at::Tensor mask =
      in.position_bias.defined() ? in.mask + by_query_and_key(in.position_bias, in.shape.length) : in.mask;
  return linear(attend(parts[0] * scale_, parts[1], parts[2], mask, probabilities), output_weight_,
                output_bias_, in.operations);
}

CrossAttention::CrossAttention(const ParameterMemory& parameters, const std::string& prefix,
                               const config::ModelConfig& config)
    : heads_(config.heads),
      scale_(score_scale(config)),
      query_weight_(parameters.get(prefix + "query.weight")),
      query_bias_(parameters.get_if(prefix + "query.bias")),
      key_value_weight_(parameters.get(prefix + "key_value.weight")),
      key_value_bias_(parameters.get_if(prefix + "key_value.bias")),
      output_weight_(parameters.get(prefix + "output.weight")),
      output_bias_(parameters.get_if(prefix + "output.bias")) {}

at::Tensor CrossAttention::forward(const Inputs& in, const DropoutMask& probabilities) const {
  const at::Tensor projected = linear(in.x, query_weight_, query_bias_, in.operations);
  const at::Tensor projected_memory = linear(in.memory, key_value_weight_, key_value_bias_, in.operations);
  if (in.fused && probabilities.probability <= 0) {
    return linear(fused_cross_attention(projected, projected_memory, in.fused), output_weight_, output_bias_,
                  in.operations);
  }
  const auto query = split_heads(projected, in.shape, heads_, 1);
  const auto key_value = split_heads(projected_memory, {in.shape.sentences, in.memory_length}, heads_, 2);
  return linear(attend(query[0] * scale_, key_value[0], key_value[1], in.mask, probabilities), output_weight_,
                output_bias_, in.operations);
}

}  // namespace megin::net
