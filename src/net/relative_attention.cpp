#include "net/relative_attention.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

#include "net/dropout.h"
#include "net/fused_attention.h"
#include "net/linear.h"

namespace megin::net {
namespace {

// x: [..., queries, n] by distance 0 ... n - 1 -> [..., queries, n] by key, where query i and key j are
// n - queries + i - j apart; keys behind the query get what the mask hides. (Dai et al. 2019, appendix B.)
at::Tensor by_key(const at::Tensor& x) {
  const int64_t queries = x.size(-2), keys = x.size(-1);
  std::vector<int64_t> sizes(x.sizes().begin(), x.sizes().end());
  std::vector<int64_t> column = sizes, padded = sizes;
  column.back() = 1;
  padded[padded.size() - 2] = keys + 1;
  padded.back() = queries;
  // Distances descend as keys ascend. A column in front makes each row begin one place later.
  return at::cat({at::zeros(column, x.options()), x.flip(-1)}, -1)
      .view(padded)
      .narrow(-2, 1, keys)
      .reshape(sizes);
}

// [queries, keys]: query i sees keys 0 to keys - queries + i.
at::Tensor mask(int64_t queries, int64_t keys) {
  return at::full({queries, keys}, -std::numeric_limits<float>::infinity(), at::kFloat)
      .triu(keys - queries + 1);
}

struct Shape {
  int64_t sentences, queries, keys, passes, heads;
  bool scaled;
};

// Returns [sentences * queries, d].
at::Tensor attend(const RelativeInputs& in, const Shape& shape, const DropoutMask& probabilities) {
  const auto& [sentences, queries, keys, passes, heads, scaled] = shape;
  const int64_t inner = in.content_query.size(1), width = inner / heads;
  const auto key_value =
      in.key_value.view({sentences, keys, 2, heads, width}).permute({2, 0, 3, 1, 4}).unbind(0);
  const at::Tensor distances = in.distances.view({passes, 1, keys, heads, width})
                                   .permute({0, 1, 3, 4, 2});  // [passes, 1, heads, width, keys]
  const auto split = [&](const at::Tensor& x) {
    return x.view({sentences, queries, heads, width}).transpose(1, 2);
  };
  const double scale = scaled ? 1.0 / std::sqrt(static_cast<double>(width)) : 1.0;
  const at::Tensor by_content = at::matmul(split(in.content_query), key_value[0].transpose(-2, -1));
  const at::Tensor by_distance =
      at::matmul(split(in.distance_query).view({passes, -1, heads, queries, width}), distances)
          .view({sentences, heads, queries, keys});
  const at::Tensor scores = (by_content + by_key(by_distance)) * scale + mask(queries, keys);
  const at::Tensor weights = dropout(at::softmax(scores, -1), probabilities);
  return at::matmul(weights, key_value[1]).transpose(1, 2).reshape({sentences * queries, inner});
}

}  // namespace

RelativeSelfAttention::RelativeSelfAttention(const ParameterMemory& parameters, const std::string& prefix,
                                             const config::ModelConfig& config)
    : heads_(config.heads),
      scaled_(config.scale_attention),
      projection_(parameters.get(prefix + "query_key_value.weight")),
      distance_(parameters.get(prefix + "distance.weight")),
      output_(parameters.get(prefix + "output.weight")),
      content_bias_(parameters.get("decoder.relative.content_bias")),
      distance_bias_(parameters.get("decoder.relative.distance_bias")) {}

at::Tensor RelativeSelfAttention::forward(const Inputs& in, const DropoutMask& probabilities) const {
  const int64_t sentences = in.shape.sentences, length = in.shape.length, d = in.x.size(1);
  const int64_t passes = in.distances.size(0), keys = in.distances.size(1);
  const int64_t inner = content_bias_.size(0);
  const at::Tensor none;
  const at::Tensor now = in.x.view({sentences, length, d});
  const at::Tensor all = in.past.defined() ? at::cat({in.past, now}, 1) : now;
  // Queries only of what is new, keys and values of everything.
  const at::Tensor query = linear(in.x, projection_.narrow(0, 0, inner), none, in.operations);
  const at::Tensor key_value = linear(all.reshape({sentences * keys, d}),
                                      projection_.narrow(0, inner, 2 * inner), none, in.operations);
  const at::Tensor distances =
      linear(in.distances.reshape({passes * keys, d}), distance_, none, in.operations);
  const at::Tensor content_query = query + content_bias_, distance_query = query + distance_bias_;
  const bool fused = in.operations.fused(config::FusedPart::kAttention) && probabilities.probability <= 0;
  const at::Tensor mixed =
      fused
          ? fused_relative_attention(
                {content_query, distance_query, key_value, distances},
                {.sentences = sentences, .heads = heads_, .queries = length, .keys = keys, .scaled = scaled_})
          : attend({content_query, distance_query, key_value, distances},
                   {sentences, length, keys, passes, heads_, scaled_}, probabilities);
  return linear(mixed, output_, none, in.operations);
}

}  // namespace megin::net
