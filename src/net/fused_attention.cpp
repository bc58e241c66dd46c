#include "net/fused_attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

#include "net/attention_kernel.h"
#include "net/kept_value.h"

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
                          .causal = shape.causal},
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

// Rows [first, last), which are padding.
void clear_rows(const HeadRows& rows, int64_t first, int64_t last, int64_t width) {
  for (int64_t t = first; t < last; ++t) std::fill_n(rows.data + t * rows.stride, width, 0.0f);
}

void forward_heads(const Projections& p, const Shape& shape, at::Tensor& output, at::Tensor& probabilities) {
  const int64_t d = output.size(1), width = d / shape.heads;
  for_heads(shape, width, [&](const Task& task) {
    Head head = head_of(p, shape, task);
    head.output = rows(output.data_ptr<float>(), d, task.sentence * shape.queries, task.head * width);
    head.probabilities = probabilities_of(probabilities, shape, task);
    if (has_work(task.shape)) attend_head(head, task.shape, task.scratch);
    clear_rows(head.output, has_work(task.shape) ? task.shape.queries : 0, shape.queries, width);
  });
}

void backward_heads(const Projections& p, const Projections& gradients, const Shape& shape,
                    const at::Tensor& output_gradient, const at::Tensor& probabilities) {
  const int64_t d = output_gradient.size(1), width = d / shape.heads;
  for_heads(shape, width, [&](const Task& task) {
    Head head = head_of(p, shape, task);
    head.probabilities = probabilities_of(probabilities, shape, task);
    const Head to = head_of(gradients, shape, task);
    const HeadGradients head_gradients{.query = to.query,
                                       .key = to.key,
                                       .value = to.value,
                                       .output = rows(output_gradient.data_ptr<float>(), d,
                                                      task.sentence * shape.queries, task.head * width)};
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

struct SelfFunction : torch::autograd::Function<SelfFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& projected,
                            std::shared_ptr<const Shape> shape) {
    const at::Tensor input = projected.contiguous();
    at::Tensor output = at::empty({input.size(0), input.size(1) / 3}, at::kFloat);
    at::Tensor probabilities = empty_probabilities(*shape);
    forward_heads(self_projections(input), *shape, output, probabilities);
    context->save_for_backward({input, probabilities});
    context->saved_data["shape"] = keep(std::move(shape));
    return output;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    at::Tensor gradient = at::empty_like(saved[0]);
    backward_heads(self_projections(saved[0]), self_projections(gradient),
                   kept<Shape>(context->saved_data["shape"]), gradients[0].contiguous(), saved[1]);
    return {gradient, at::Tensor()};
  }
};

struct CrossFunction : torch::autograd::Function<CrossFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& query,
                            const at::Tensor& key_value, std::shared_ptr<const Shape> shape) {
    const at::Tensor q = query.contiguous(), kv = key_value.contiguous();
    at::Tensor output = at::empty_like(q);
    at::Tensor probabilities = empty_probabilities(*shape);
    forward_heads(cross_projections(q, kv), *shape, output, probabilities);
    context->save_for_backward({q, kv, probabilities});
    context->saved_data["shape"] = keep(std::move(shape));
    return output;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    at::Tensor query = at::empty_like(saved[0]), key_value = at::empty_like(saved[1]);
    backward_heads(cross_projections(saved[0], saved[1]), cross_projections(query, key_value),
                   kept<Shape>(context->saved_data["shape"]), gradients[0].contiguous(), saved[2]);
    return {query, key_value, at::Tensor()};
  }
};

}  // namespace

at::Tensor fused_self_attention(const at::Tensor& projected, const std::shared_ptr<const Shape>& shape) {
  return SelfFunction::apply(projected, shape);
}

at::Tensor fused_cross_attention(const at::Tensor& query, const at::Tensor& key_value,
                                 const std::shared_ptr<const Shape>& shape) {
  return CrossFunction::apply(query, key_value, shape);
}

}  // namespace megin::net
