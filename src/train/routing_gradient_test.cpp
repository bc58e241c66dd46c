// Gradients of experts and of what routes to them, through whole models: their scale, and their values by
// finite differences.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "net/gradient_check.h"
#include "store/tensor_names.h"
#include "train/trainer_fixture.h"

namespace megin::train {
namespace {

using config::ExpertBody, config::Gate, config::RouterKind;

config::ModelConfig model_of(ExpertBody body, config::ExpertConfig experts) {
  config::ModelConfig model = small_model(experts.count);
  experts.body = body;
  model.experts = experts;
  return model;
}

// What initialisation leaves small, alike or at zero: routers of some weight, and experts that differ and add
// something. A table that uses three experts.
void draw_routing(net::ParameterMemory& parameters, uint64_t seed) {
  for (const net::Parameter& parameter : parameters.all()) {
    const bool router = parameter.name.find("router.") != std::string::npos;
    if (!router && !parameter.name.ends_with("fc2.weight")) continue;
    const bool table = parameter.name.ends_with("router.table");
    const uint64_t key = draw_key(seed, Purpose::kSampling, {static_cast<uint64_t>(parameter.offset)});
    const auto values = parameters.values_of(parameter);
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(table ? static_cast<double>(i % 3) : 0.5 * draw_normal(key, i));
    }
  }
}

double sum_of_squares(std::span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value) * value;
  return sum;
}

// stablemoe trap 1: the published code's experts have gradients as many times too large as there are experts.
// Experts that are equal, with a router without a gate, are the dense model; its gradient is the sum of
// theirs.
TEST(RoutingGradients, ExpertsHaveTheScaleOfEverythingElse) {
  for (const ExpertBody body : {ExpertBody::kReplace, ExpertBody::kInsert}) {
    Trainer dense(model_of(body, {.count = 1}), one_pass());
    Trainer routed(model_of(body, {.count = 3, .router = RouterKind::kHash}), one_pass());
    draw_routing(dense.model.parameters(), 1);
    draw_routing(routed.model.parameters(), 1);
    for (const net::Parameter& parameter : dense.model.parameters().all()) {
      for (const at::Tensor& leaf : routed.model.parameters().find(parameter.name).leaves)
        leaf.detach().copy_(parameter.leaves[0].detach());
    }
    UpdateReport a, b;
    dense.step.accumulate(batch_of({0, 1, 2, 3}), 0, 0, a);
    routed.step.accumulate(batch_of({0, 1, 2, 3}), 0, 0, b);
    EXPECT_NEAR(a.cross_entropy[0], b.cross_entropy[0], 1e-5 * a.cross_entropy[0]);
    const double norm = std::sqrt(sum_of_squares(dense.model.parameters().gradients()));
    int64_t experts = 0;
    for (const net::Parameter& parameter : dense.model.parameters().all()) {
      const at::Tensor wanted = parameter.leaves[0].grad();
      at::Tensor sum = at::zeros_like(wanted);
      for (const at::Tensor& leaf : routed.model.parameters().find(parameter.name).leaves) {
        EXPECT_GT(leaf.grad().abs().sum().item<float>(), 0) << parameter.name;
        sum = sum + leaf.grad();
        ++experts;
      }
      EXPECT_LT((sum - wanted).abs().max().item<double>(), 1e-5 * norm) << parameter.name;
    }
    EXPECT_GT(experts, static_cast<int64_t>(dense.model.parameters().all().size()));
  }
}

// stablemoe trap 2: every parameter counts once for clipping, those of every expert too.
TEST(RoutingGradients, TheNormCountsEveryParameterOfEveryExpertOnce) {
  config::ModelConfig model = small_model(4);
  model.experts = {.count = 4, .every = 1, .router = RouterKind::kTopK, .gate = Gate::kSoftmax};
  config::TrainConfig config = one_pass();
  config.routing.balance = 0.01;
  config.optimizer.clip_norm = 0.01;
  Trainer counted(model, config), trained(model, config);
  UpdateReport report;
  counted.step.accumulate(batch_of({0, 1, 2, 3}), 0, 0, report);
  net::ParameterMemory& parameters = counted.model.parameters();
  double squares = 0;
  int64_t of_experts = 0;
  for (const net::Parameter& parameter : parameters.all()) {
    squares += sum_of_squares(parameters.gradients().subspan(parameter.offset, parameter.size));
    if (parameter.experts > 0) of_experts += parameter.size;
  }
  EXPECT_EQ(of_experts, 4 * 4 * (2 * 16 * 24 + 24 + 16)) << "four layers of four";
  int64_t met = 0;
  for (const RoutingReport& of : report.routing) {
    for (int64_t e = 0; e < 4; ++e) {
      const std::string name = store::expert_prefix(model, of.stack, of.layer) + "fc2.bias";
      const bool used = of.statistics.load[static_cast<size_t>(e)] > 0;
      EXPECT_EQ(parameters.get(name, e).grad().abs().sum().item<float>() > 0, used) << name << ' ' << e;
      met += used;
    }
  }
  EXPECT_GT(met, 4) << "of more than one expert a layer";

  const double tokens = 3 + 6 + 4 + 2, norm = std::sqrt(squares) / tokens;
  const UpdateReport update = trained.run({batch_of({0, 1, 2, 3})}, 0);
  EXPECT_NEAR(update.gradient_norm, norm, 1e-6 * norm);
  EXPECT_GT(norm, 0.1) << "so that it is clipped";
  // The first moment of the first update: (1 - beta1) times the clipped gradient, of all parameters alike.
  std::vector<float> wanted(parameters.gradients().begin(), parameters.gradients().end());
  for (float& value : wanted) value *= static_cast<float>(0.1 * 0.01 / (norm + 1e-6) / tokens);
  EXPECT_LT(largest_difference(wanted, trained.state.first_moments), 3e-9);
}

// Where nothing but the symbol decides who meets whom, and nothing is a mean over a batch, micro-batches add
// up to the larger one. Gradients are read from the first moment (training_step_test.cpp says why).
TEST(RoutingGradients, MicroBatchesOfAHashRouterEqualTheLargerBatch) {
  for (const ExpertBody body : {ExpertBody::kReplace, ExpertBody::kInsert}) {
    const config::ModelConfig model = model_of(body, {.count = 3, .router = RouterKind::kHash});
    Trainer whole(model, one_pass()), parts(model, one_pass());
    draw_routing(whole.model.parameters(), 1);
    draw_routing(parts.model.parameters(), 1);
    const UpdateReport a = whole.run({batch_of({0, 1, 2, 3})}, 0);
    const UpdateReport b = parts.run({batch_of({0, 1}), batch_of({2, 3})}, 0);
    EXPECT_NEAR(a.cross_entropy[0], b.cross_entropy[0], 1e-5 * a.cross_entropy[0]);
    EXPECT_NEAR(a.gradient_norm, b.gradient_norm, 1e-5 * a.gradient_norm);
    EXPECT_LT(largest_difference(whole.state.first_moments, parts.state.first_moments),
              2e-6 * a.gradient_norm);
    ASSERT_EQ(a.routing.size(), 2U);
    ASSERT_EQ(b.routing.size(), 2U);
    // Symbols modulo three, of the sources with their end marks and of the targets behind theirs.
    EXPECT_EQ(a.routing[0].statistics.load, (std::vector<int64_t>{4, 2, 8}));
    EXPECT_EQ(a.routing[1].statistics.load, (std::vector<int64_t>{4, 4, 7}));
    for (size_t i = 0; i < 2; ++i) EXPECT_EQ(a.routing[i].statistics.load, b.routing[i].statistics.load);
  }
}

struct Case {
  std::string name;
  config::ExpertConfig experts;
  config::RoutingConfig routing = {};
  std::vector<std::string> trained = {"weight"};  // of each router; none: what its features come from
  uint64_t update = 0;
};

std::vector<Case> cases() {
  const config::RoutingConfig both{.balance = 0.1, .z_loss = 0.1};
  const config::ExpertConfig one{.count = 3, .router = RouterKind::kTopK, .gate = Gate::kSoftmax};
  config::ExpertConfig two = one, sigmoids = one, noisy = one, everyone = one;
  two.active = sigmoids.active = noisy.active = 2;
  two.gate = noisy.gate = Gate::kSoftmaxOfChosen;
  sigmoids.gate = Gate::kSigmoid;
  noisy.noisy = true;
  everyone.active = 3;
  config::ExpertConfig fixed = two, fixed_all = everyone;
  fixed.router = fixed_all.router = RouterKind::kFixed;
  const config::ExpertConfig sentence{.count = 3, .router = RouterKind::kSentence, .gate = Gate::kSoftmax};
  const config::ExpertConfig base{.count = 3, .router = RouterKind::kBase, .gate = Gate::kSigmoid};
  const config::ExpertConfig choice{
      .count = 3, .router = RouterKind::kExpertChoice, .active = 2, .gate = Gate::kSoftmax};
  const config::ExpertConfig word{
      .count = 3, .router = RouterKind::kDistilled, .gate = Gate::kSigmoid, .distilled_width = 4};
  config::ExpertConfig five = word;
  five.distilled_input = config::DistilledInput::kCnn;
  const config::RoutingConfig stages{.balance = 0.3, .first_stage = 2};
  config::RoutingConfig even = stages;
  even.balanced_stage = true;
  return {
      {.name = "one of three", .experts = one, .routing = both},
      {.name = "two of three", .experts = two, .routing = both},
      {.name = "two by sigmoids", .experts = sigmoids},
      {.name = "two with noise", .experts = noisy, .routing = both, .trained = {"weight", "noise"}},
      {.name = "all three", .experts = everyone},
      {.name = "two of three by a fixed router", .experts = fixed, .trained = {}},
      {.name = "all three by a fixed router", .experts = fixed_all, .trained = {}},
      {.name = "by sentence", .experts = sentence, .routing = both},
      {.name = "base", .experts = base},
      {.name = "expert choice", .experts = choice, .routing = {.z_loss = 0.1}},
      {.name = "distilled", .experts = word, .routing = stages, .trained = {"weight", "symbols", "centres"}},
      {.name = "distilled from five symbols, evenly",
       .experts = five,
       .routing = even,
       .trained = {"weight", "symbols", "centres", "kernel"}},
      {.name = "distilled and frozen", .experts = word, .routing = stages, .update = 2}};
}

// The model of a case in training: what comes out of it, and what trains its routers.
struct Probe {
  Probe(const Case& of, ExpertBody body, uint64_t seed)
      : config(smooth(model_of(body, of.experts))), update(of.update), model(config, of.routing) {
    net::initialise(model.parameters(), config, seed);
    draw_routing(model.parameters(), seed);
    for (const config::Stack stack : {config::Stack::kEncoder, config::Stack::kDecoder}) {
      if (!config::is_expert_layer(config, stack, 0)) continue;
      if (of.trained.empty()) {
        inputs.push_back(
            model.parameters().get(store::layer_prefix(stack, 0) + "self_attention.output.weight"));
      }
      for (const std::string& name : of.trained) {
        inputs.push_back(model.parameters().get(store::expert_prefix(config, stack, 0) + "router." + name));
      }
    }
  }

  static config::ModelConfig smooth(config::ModelConfig config) {
    config.activation = config::Activation::kGelu;  // no kinks for the differences to step over
    return config;
  }

  // The states, and the routers' losses.
  at::Tensor run() {
    model::RouteRecord record;
    const at::Tensor states = model.forward(batch, {.training = true, .update = update}, &record);
    std::vector<at::Tensor> outputs = {states.flatten() * 0.5}, choices = {at::zeros({1}, at::kLong)};
    for (const model::RouteRecord::OfLayer& of : record.layers) {
      if (of.experts.defined()) choices.push_back(of.experts.flatten());
      for (const at::Tensor& loss : {of.losses.balance, of.losses.z, of.losses.distillation}) {
        if (loss.defined()) outputs.push_back(loss.view({1}) * 3.0);
      }
    }
    const at::Tensor now = at::cat(choices);
    if (!chosen.defined()) chosen = now;
    flipped = flipped || !at::equal(now, chosen);
    return at::cat(outputs);
  }

  // Whether all choices hold along the directions of net::expect_gradients, where it steps and twice as far
  // (an auction may choose otherwise on the way to where it chooses the same again).
  bool has_clear_margins() {
    const at::NoGradGuard no_gradients;
    run();
    for (size_t i = 0; i < inputs.size(); ++i) {
      const at::Tensor middle = inputs[i].clone();
      const at::Tensor direction = net::normal_tensor(middle.sizes(), 100 + i);
      for (const double step : {2e-2, 1e-2, -1e-2, -2e-2}) {
        inputs[i].copy_(middle + direction * step);
        run();
      }
      inputs[i].copy_(middle);
    }
    return !flipped;
  }

  config::ModelConfig config;
  uint64_t update;
  model::Transformer model;
  data::TokenBatch batch = batch_of({2, 3});  // 6 tokens a side, and padding
  std::vector<at::Tensor> inputs;
  at::Tensor chosen;     // by the first run
  bool flipped = false;  // another run chose otherwise
};

// A choice has no gradient, so none may flip within the steps: weights are drawn until all margins are clear,
// and it is checked afterwards that no choice has in fact flipped.
TEST(RoutingGradients, AreThoseOfFiniteDifferences) {
  for (const Case& of : cases()) {
    for (const ExpertBody body : {ExpertBody::kReplace, ExpertBody::kInsert}) {
      SCOPED_TRACE(of.name + (body == ExpertBody::kInsert ? ", inserted" : ""));
      uint64_t seed = 1;
      while (seed < 300 && !Probe(of, body, seed).has_clear_margins()) ++seed;
      ASSERT_LT(seed, 300U) << "no weights have clear margins";
      Probe probe(of, body, seed);
      net::expect_gradients([&] { return probe.run(); }, probe.inputs);
      EXPECT_FALSE(probe.flipped);
    }
  }
}

}  // namespace
}  // namespace megin::train
