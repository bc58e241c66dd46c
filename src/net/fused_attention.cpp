#include "net/fused_attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "net/attention_kernel.h"
#include "net/kept_value.h"
#include "net/row_parts.h"

namespace megin::net {
namespace {

using Shape = FusedAttentionShape;

// The tensors of one attention: where query, key and value start in them.
struct Projections {
  float* query;
  float* key;
  float* value;
  int64_t query_stride, key_value_stride;
};

HeadRows rows(float* base, int64_t stride, int64_t first_row, int64_t column) {
  return {.data = base + first_row * stride + column, .stride = stride};
}

// What one task works on.
struct Task {
  HeadShape shape;  // without padding; no queries or no keys: nothing to compute
  int64_t sentence;
  int64_t head;
  float* scratch;
};

// Calls body(task) for every head of every sentence, over all threads.
template <typename Body>
void for_heads(const Shape& shape, int64_t width, const Body& body) {
  const int64_t row = attention_row(shape.keys);
  at::parallel_for(0, shape.sentences * shape.heads, 8, [&](int64_t begin, int64_t end) {
    const HeadShape largest{.queries = shape.queries, .keys = shape.keys, .width = width, .row = row};
    std::vector<float> scratch(static_cast<size_t>(attention_scratch(largest)));
    for (int64_t i = begin; i < end; ++i) {
      const auto sentence = static_cast<size_t>(i / shape.heads);
      body(Task{.shape = {.queries = shape.query_lengths[sentence],
                          .keys = shape.key_lengths[sentence],
                          .width = width,
                          .row = row,
                          .causal = shape.causal,
                          .relative = shape.relative,
                          .scale = shape.scaled ? 1.0f / std::sqrt(static_cast<float>(width)) : 1.0f},
                .sentence = i / shape.heads,
                .head = i % shape.heads,
                .scratch = scratch.data()});
    }
  });
}

bool has_work(const HeadShape& shape) {
  return shape.queries > 0 && shape.keys > 0;
}

Head head_of(const Projections& p, const Shape& shape, const Task& task) {
  const int64_t column = task.head * task.shape.width;
  return {.query = rows(p.query, p.query_stride, task.sentence * shape.queries, column),
          .key = rows(p.key, p.key_value_stride, task.sentence * shape.keys, column),
          .value = rows(p.value, p.key_value_stride, task.sentence * shape.keys, column),
          .output = {}};
}

float* probabilities_of(const at::Tensor& probabilities, const Shape& shape, const Task& task) {
  return probabilities.data_ptr<float>() +
         (task.sentence * shape.heads + task.head) * shape.queries * task.shape.row;
}

// Of keys at their query's own place, in rows by offset from -(queries - 1) on; null where there are none.
float* by_offset(const at::Tensor& bias, const Shape& shape, int64_t row) {
  return bias.numel() == 0 ? nullptr : bias.data_ptr<float>() + row * bias.size(-1) + shape.queries - 1;
}

// Rows [first, last), which are padding.
void clear_rows(const HeadRows& rows, int64_t first, int64_t last, int64_t width) {
  for (int64_t t = first; t < last; ++t) std::fill_n(rows.data + t * rows.stride, width, 0.0f);
}

// bias: of position_bias, or empty.
void forward_heads(const Projections& p, const at::Tensor& bias, const Shape& shape, at::Tensor& output,
                   at::Tensor& probabilities) {
  const int64_t d = output.size(1), width = d / shape.heads;
  for_heads(shape, width, [&](const Task& task) {
    Head head = head_of(p, shape, task);
    head.output = rows(output.data_ptr<float>(), d, task.sentence * shape.queries, task.head * width);
    head.probabilities = probabilities_of(probabilities, shape, task);
    head.position_bias = by_offset(bias, shape, task.head);
    if (has_work(task.shape)) attend_head(head, task.shape, task.scratch);
    clear_rows(head.output, has_work(task.shape) ? task.shape.queries : 0, shape.queries, width);
  });
}

// bias_gradients: [sentences * heads, 2 length - 1], zero, or empty.
void backward_heads(const Projections& p, const Projections& gradients, const at::Tensor& bias_gradients,
                    const Shape& shape, const at::Tensor& output_gradient, const at::Tensor& probabilities) {
  const int64_t d = output_gradient.size(1), width = d / shape.heads;
  for_heads(shape, width, [&](const Task& task) {
    Head head = head_of(p, shape, task);
    head.probabilities = probabilities_of(probabilities, shape, task);
    const Head to = head_of(gradients, shape, task);
    const HeadGradients head_gradients{
        .query = to.query,
        .key = to.key,
        .value = to.value,
        .output =
            rows(output_gradient.data_ptr<float>(), d, task.sentence * shape.queries, task.head * width),
        .position_bias = by_offset(bias_gradients, shape, task.sentence * shape.heads + task.head)};
    const bool works = has_work(task.shape);
    if (works) attend_head_backward(head, head_gradients, task.shape, task.scratch);
    clear_rows(to.query, works ? task.shape.queries : 0, shape.queries, width);
    clear_rows(to.key, works ? task.shape.keys : 0, shape.keys, width);
    clear_rows(to.value, works ? task.shape.keys : 0, shape.keys, width);
  });
}

Projections self_projections(const at::Tensor& projected) {
  const int64_t stride = projected.size(1), d = stride / 3;
  float* const base = projected.data_ptr<float>();
  return {base, base + d, base + 2 * d, stride, stride};
}

Projections cross_projections(const at::Tensor& query, const at::Tensor& key_value) {
  const int64_t d = query.size(1);
  float* const base = key_value.data_ptr<float>();
  return {query.data_ptr<float>(), base, base + d, d, 2 * d};
}

at::Tensor empty_probabilities(const Shape& shape) {
  return at::empty({shape.sentences, shape.heads, shape.queries, attention_row(shape.keys)}, at::kFloat);
}

// An empty bias is none: functions take no undefined tensors.
struct SelfFunction : torch::autograd::Function<SelfFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& projected,
                            const at::Tensor& position_bias, std::shared_ptr<const Shape> shape) {
    const at::Tensor input = projected.contiguous(), bias = position_bias.contiguous();
    at::Tensor output = at::empty({input.size(0), input.size(1) / 3}, at::kFloat);
    at::Tensor probabilities = empty_probabilities(*shape);
    forward_heads(self_projections(input), bias, *shape, output, probabilities);
    context->save_for_backward({input, probabilities});
    context->saved_data["bias_width"] = bias.numel() > 0 ? bias.size(1) : 0;
    context->saved_data["shape"] = keep(std::move(shape));
    return output;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const Shape& shape = kept<Shape>(context->saved_data["shape"]);
    const int64_t bias_width = context->saved_data["bias_width"].toInt();
    at::Tensor gradient = at::empty_like(saved[0]);
    const at::Tensor of_heads = at::zeros({shape.sentences * shape.heads, bias_width}, at::kFloat);
    backward_heads(self_projections(saved[0]), self_projections(gradient), of_heads, shape,
                   gradients[0].contiguous(), saved[1]);
    const at::Tensor of_bias = bias_width > 0
                                   ? sum_of_parts(of_heads.view({shape.sentences, shape.heads, bias_width}))
                                   : at::Tensor();
    return {gradient, of_bias, at::Tensor()};
  }
};

struct CrossFunction : torch::autograd::Function<CrossFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& query,
                            const at::Tensor& key_value, std::shared_ptr<const Shape> shape) {
    const at::Tensor q = query.contiguous(), kv = key_value.contiguous();
    at::Tensor output = at::empty_like(q);
    at::Tensor probabilities = empty_probabilities(*shape);
    forward_heads(cross_projections(q, kv), at::empty({0}, at::kFloat), *shape, output, probabilities);
    context->save_for_backward({q, kv, probabilities});
    context->saved_data["shape"] = keep(std::move(shape));
    return output;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    at::Tensor query = at::empty_like(saved[0]), key_value = at::empty_like(saved[1]);
    backward_heads(cross_projections(saved[0], saved[1]), cross_projections(query, key_value),
                   at::empty({0}, at::kFloat), kept<Shape>(context->saved_data["shape"]),
                   gradients[0].contiguous(), saved[2]);
    return {query, key_value, at::Tensor()};
  }
};

// The sentences of a pass share its distances, of which each sentence has a gradient of its own until the
// end.
struct RelativeTensors {
  const at::Tensor& content_query;   // [sentences * queries, d]
  const at::Tensor& distance_query;  // the same
  const at::Tensor& key_value;       // [sentences * keys, 2 d]
  const at::Tensor& distances;       // [passes * keys, d], or of gradients [sentences * keys, d]

  Projections projections() const { return cross_projections(content_query, key_value); }

  HeadRows distance_query_of(const Shape& shape, const Task& task) const {
    const int64_t d = distance_query.size(1);
    return rows(distance_query.data_ptr<float>(), d, task.sentence * shape.queries,
                task.head * task.shape.width);
  }
  HeadRows distances_of(const Shape& shape, const Task& task) const {
    const int64_t passes = distances.size(0) / shape.keys;
    const int64_t pass = task.sentence / (shape.sentences / passes);
    return rows(distances.data_ptr<float>(), distances.size(1), pass * shape.keys,
                task.head * task.shape.width);
  }
};

Head relative_head(const RelativeTensors& in, const Shape& shape, const Task& task) {
  Head head = head_of(in.projections(), shape, task);
  head.distance_query = in.distance_query_of(shape, task);
  head.distances = in.distances_of(shape, task);
  return head;
}

struct RelativeFunction : torch::autograd::Function<RelativeFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& content_query,
                            const at::Tensor& distance_query, const at::Tensor& key_value,
                            const at::Tensor& distances, std::shared_ptr<const Shape> shape) {
    const at::Tensor content = content_query.contiguous(), distance = distance_query.contiguous();
    const at::Tensor kv = key_value.contiguous(), far = distances.contiguous();
    const RelativeTensors in{content, distance, kv, far};
    at::Tensor output = at::empty_like(content);
    at::Tensor probabilities = empty_probabilities(*shape);
    const int64_t d = output.size(1);
    for_heads(*shape, d / shape->heads, [&](const Task& task) {
      Head head = relative_head(in, *shape, task);
      head.output =
          rows(output.data_ptr<float>(), d, task.sentence * shape->queries, task.head * task.shape.width);
      head.probabilities = probabilities_of(probabilities, *shape, task);
      attend_head(head, task.shape, task.scratch);
    });
    context->save_for_backward({content, distance, kv, far, probabilities});
    context->saved_data["shape"] = keep(std::move(shape));
    return output;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const Shape& shape = kept<Shape>(context->saved_data["shape"]);
    const at::Tensor output = gradients[0].contiguous(), &far = saved[3];
    const int64_t d = output.size(1), passes = far.size(0) / shape.keys;
    at::Tensor content = at::empty_like(saved[0]), distance = at::empty_like(saved[1]);
    at::Tensor key_value = at::empty_like(saved[2]);
    at::Tensor by_sentence = at::empty({shape.sentences * shape.keys, d}, at::kFloat);
    const RelativeTensors in{saved[0], saved[1], saved[2], far};
    const RelativeTensors to{content, distance, key_value, by_sentence};
    for_heads(shape, d / shape.heads, [&](const Task& task) {
      Head head = relative_head(in, shape, task);
      head.probabilities = probabilities_of(saved[4], shape, task);
      const Head target = relative_head(to, shape, task);
      attend_head_backward(head,
                           {.query = target.query,
                            .key = target.key,
                            .value = target.value,
                            .distance_query = target.distance_query,
                            .distances = target.distances,
                            .output = rows(output.data_ptr<float>(), d, task.sentence * shape.queries,
                                           task.head * task.shape.width)},
                           task.shape, task.scratch);
    });
    const at::Tensor distances = by_sentence.view({passes, shape.sentences / passes, shape.keys, d})
                                     .sum(1)
                                     .view({passes * shape.keys, d});
    return {content, distance, key_value, distances, at::Tensor()};
  }
};

}  // namespace

at::Tensor fused_relative_attention(const RelativeInputs& in, Shape shape) {
  shape.causal = shape.relative = true;
  shape.query_lengths.assign(static_cast<size_t>(shape.sentences), shape.queries);
  shape.key_lengths.assign(static_cast<size_t>(shape.sentences), shape.keys);
  return RelativeFunction::apply(in.content_query, in.distance_query, in.key_value, in.distances,
                                 std::make_shared<const Shape>(std::move(shape)));
}

at::Tensor fused_self_attention(const at::Tensor& projected, const at::Tensor& position_bias,
                                const std::shared_ptr<const Shape>& shape) {
  return SelfFunction::apply(projected, position_bias.defined() ? position_bias : at::empty({0}, at::kFloat),
                             shape);
}

at::Tensor fused_cross_attention(const at::Tensor& query, const at::Tensor& key_value,
                                 const std::shared_ptr<const Shape>& shape) {
  return CrossFunction::apply(query, key_value, shape);
}

}  // namespace megin::net
