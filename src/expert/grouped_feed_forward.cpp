#include "expert/grouped_feed_forward.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "matrix/gradient_product.h"
#include "net/feed_forward_kernel.h"
#include "net/kept_value.h"
#include "net/products.h"

namespace megin::expert {
namespace {

using matrix::Layout;
using matrix::PackedMatrix;

struct ExpertPart {
  int64_t expert = 0;
  net::RowPart rows;
};

// The rows of each expert in parts, which depend on the grouping only.
std::vector<ExpertPart> parts_of(const Grouping& grouping) {
  constexpr int64_t kMostRows = 256;
  std::vector<ExpertPart> parts;
  for (size_t e = 0; e + 1 < grouping.ends.size(); ++e) {
    const int64_t first = grouping.ends[e], rows = grouping.ends[e + 1] - first;
    const int64_t count = (rows + kMostRows - 1) / kMostRows;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t from = rows * i / count;
      parts.push_back(
          {static_cast<int64_t>(e), {.first = first + from, .rows = rows * (i + 1) / count - from}});
    }
  }
  return parts;
}

// The experts that have rows.
std::vector<int64_t> busy_experts(const Grouping& grouping) {
  std::vector<int64_t> busy;
  for (size_t e = 0; e + 1 < grouping.ends.size(); ++e) {
    if (grouping.ends[e + 1] > grouping.ends[e]) busy.push_back(static_cast<int64_t>(e));
  }
  return busy;
}

using Packed = std::vector<PackedMatrix>;  // of each expert; empty for those without rows

Packed pack_busy(at::TensorList weights, const std::vector<int64_t>& busy, Layout layout) {
  Packed packed(weights.size());
  net::for_tasks(static_cast<int64_t>(busy.size()), [&](int64_t task) {
    const auto expert = static_cast<size_t>(busy[static_cast<size_t>(task)]);
    const at::Tensor& weight = weights[expert];
    const bool as_stored = layout == Layout::kOutputsByInputs;
    PackedMatrix matrix(weight.size(as_stored ? 0 : 1), weight.size(as_stored ? 1 : 0));
    matrix.pack_panels(weight.data_ptr<float>(), layout, 0, matrix.panels());
    packed[expert] = std::move(matrix);
  });
  return packed;
}

// One weight's gradient, or a part of its outputs.
struct GradientTask {
  int64_t expert = 0;
  bool second = false;  // of fc2
  int64_t output = 0;
  int64_t outputs = 0;
};

std::vector<GradientTask> gradient_tasks(const Grouping& grouping, int64_t width, int64_t inner) {
  constexpr int64_t kProducts = 1 << 23;  // multiply-adds worth a task
  std::vector<GradientTask> tasks;
  for (const int64_t expert : busy_experts(grouping)) {
    const auto e = static_cast<size_t>(expert);
    const int64_t rows = grouping.ends[e + 1] - grouping.ends[e];
    const int64_t parts = std::clamp<int64_t>(rows * width * inner / kProducts, 1, 8);
    for (const bool second : {false, true}) {
      const int64_t outputs = second ? width : inner;
      for (int64_t part = 0; part < parts; ++part) {
        const int64_t first = outputs * part / parts;
        tasks.push_back({expert, second, first, outputs * (part + 1) / parts - first});
      }
    }
  }
  return tasks;
}

struct GroupedFunction : torch::autograd::Function<GroupedFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            at::TensorList fc1_weight, at::TensorList fc1_bias, at::TensorList fc2_weight,
                            at::TensorList fc2_bias, std::shared_ptr<const Grouping> grouping,
                            const net::DropoutMask* mask) {
    const at::Tensor input = x.contiguous();
    const int64_t rows = input.size(0), width = fc1_weight[0].size(0);
    const at::Tensor inner = at::empty({rows, width}, at::kFloat), output = at::empty_like(input);
    const auto busy = busy_experts(*grouping);
    const Packed fc1 = pack_busy(fc1_weight, busy, Layout::kOutputsByInputs),
                 fc2 = pack_busy(fc2_weight, busy, Layout::kOutputsByInputs);
    const auto parts = parts_of(*grouping);
    net::for_tasks(static_cast<int64_t>(parts.size()), [&](int64_t task) {
      const auto& [expert, part] = parts[static_cast<size_t>(task)];
      const auto e = static_cast<size_t>(expert);
      const matrix::Rows to_inner = net::mutable_rows(inner, part);
      matrix::multiply(fc1[e], net::values_of(fc1_bias[e]), net::const_rows(input, part), to_inner);
      net::activate_rows(to_inner.data,
                         {.first = part.first, .count = part.rows, .rows = rows, .width = width}, *mask);
      matrix::multiply(fc2[e], net::values_of(fc2_bias[e]), to_inner, net::mutable_rows(output, part));
    });
    torch::autograd::variable_list saved = {input, inner};
    saved.insert(saved.end(), fc1_weight.begin(), fc1_weight.end());
    saved.insert(saved.end(), fc2_weight.begin(), fc2_weight.end());
    context->save_for_backward(saved);
    context->saved_data["scale"] = static_cast<double>(net::dropout_scale(*mask));
    context->saved_data["has_bias"] = fc1_bias[0].numel() > 0;
    context->saved_data["grouping"] = net::keep(std::move(grouping));
    return output;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& upstream) {
    const auto saved = context->get_saved_variables();
    const Grouping& grouping = net::kept<Grouping>(context->saved_data["grouping"]);
    const size_t experts = grouping.ends.size() - 1;
    const at::Tensor &input = saved[0], &inner = saved[1];
    const at::TensorList fc1_weight(saved.data() + 2, experts),
        fc2_weight(saved.data() + 2 + experts, experts);
    const at::Tensor gradient = upstream[0].contiguous();
    const at::Tensor input_gradient = at::empty_like(input), inner_gradient = at::empty_like(inner);
    const auto scale = static_cast<float>(context->saved_data["scale"].toDouble());

    const auto busy = busy_experts(grouping);
    const Packed fc1 = pack_busy(fc1_weight, busy, Layout::kInputsByOutputs),
                 fc2 = pack_busy(fc2_weight, busy, Layout::kInputsByOutputs);
    const auto parts = parts_of(grouping);
    net::for_tasks(static_cast<int64_t>(parts.size()), [&](int64_t task) {
      const auto& [expert, part] = parts[static_cast<size_t>(task)];
      const auto e = static_cast<size_t>(expert);
      const matrix::Rows to_inner = net::mutable_rows(inner_gradient, part);
      matrix::multiply(fc2[e], {}, net::const_rows(gradient, part), to_inner);
      net::activate_rows_backward(to_inner.data, net::const_rows(inner, part).data, part.rows * inner.size(1),
                                  scale);
      matrix::multiply(fc1[e], {}, to_inner, net::mutable_rows(input_gradient, part));
    });

    // In the order of the inputs: x, then four lists of tensors; undefined for experts without rows.
    const bool has_bias = context->saved_data["has_bias"].toBool();
    torch::autograd::variable_list gradients(1 + 4 * experts + 2);
    gradients[0] = input_gradient;
    for (const int64_t expert : busy) {
      const auto e = static_cast<size_t>(expert);
      gradients[1 + e] = at::empty_like(fc1_weight[e]);
      gradients[1 + 2 * experts + e] = at::empty_like(fc2_weight[e]);
      if (!has_bias) continue;
      gradients[1 + experts + e] = at::empty({inner.size(1)}, at::kFloat);
      gradients[1 + 3 * experts + e] = at::empty({input.size(1)}, at::kFloat);
    }
    const auto tasks = gradient_tasks(grouping, input.size(1), inner.size(1));
    net::for_tasks(static_cast<int64_t>(tasks.size()), [&](int64_t number) {
      const GradientTask& task = tasks[static_cast<size_t>(number)];
      const auto e = static_cast<size_t>(task.expert);
      const int64_t first = grouping.ends[e], rows = grouping.ends[e + 1] - first;
      const at::Tensor &dy = task.second ? gradient : inner_gradient, &in = task.second ? inner : input;
      const size_t at = 1 + (task.second ? 2 * experts : 0) + e;
      const int64_t outputs = dy.size(1), inputs = in.size(1);
      const matrix::ConstRows from(dy.data_ptr<float>() + first * outputs + task.output, rows, outputs);
      matrix::multiply_gradient(
          {.dy = from, .x = {in.data_ptr<float>() + first * inputs, rows, inputs}, .inputs = inputs},
          {gradients[at].data_ptr<float>() + task.output * inputs, task.outputs, inputs},
          matrix::Sum::kFromZero);
      if (!has_bias) return;
      net::sum_rows(from, task.outputs, gradients[at + experts].data_ptr<float>() + task.output);
    });
    return gradients;
  }
};

}  // namespace

at::Tensor grouped_feed_forward(const at::Tensor& x, const std::shared_ptr<const Grouping>& grouping,
                                const GroupedParameters& parameters, const net::DropoutMask& activation) {
  return GroupedFunction::apply(x, at::TensorList(parameters.fc1_weight), at::TensorList(parameters.fc1_bias),
                                at::TensorList(parameters.fc2_weight), at::TensorList(parameters.fc2_bias),
                                grouping, &activation);
}

}  // namespace megin::expert
