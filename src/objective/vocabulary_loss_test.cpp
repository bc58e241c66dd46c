#include "objective/vocabulary_loss.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/highway_test_targets.h"
#include "net/gradient_check.h"
#include "text/vocabulary.h"

namespace megin::objective {
namespace {

using LossFunction = VocabularyLoss (*)(const VocabularyLossInputs&, const VocabularyLossWeights&);

struct Gradients {
  VocabularyLoss loss;
  at::Tensor states, weight;
};

// States chosen so that the logits are the given ones: the weight is the identity.
VocabularyLoss loss_of_logits(LossFunction function, const at::Tensor& logits, std::vector<int32_t> targets,
                              const VocabularyLossWeights& weights) {
  const at::Tensor identity = at::eye(logits.size(1));
  const int64_t passes = logits.size(0) / static_cast<int64_t>(targets.size());
  return function({logits, identity, targets, passes}, weights);
}

Gradients gradients(LossFunction function, const at::Tensor& states, const at::Tensor& weight,
                    const std::vector<int32_t>& targets, const VocabularyLossWeights& weights,
                    std::span<const float> position_weights = {}) {
  at::Tensor x = states.clone().requires_grad_(true), w = weight.clone().requires_grad_(true);
  Gradients g;
  g.loss =
      function({x, w, targets, x.size(0) / static_cast<int64_t>(targets.size()), position_weights}, weights);
  g.loss.total.backward();
  g.states = x.grad();
  g.weight = w.grad();
  return g;
}

class VocabularyLossTest : public testing::TestWithParam<LossFunction> {};
INSTANTIATE_TEST_SUITE_P(Forms, VocabularyLossTest,
                         testing::Values(&plain_vocabulary_loss, &chunked_vocabulary_loss));

// Logits (0, 0, ln 2): probabilities 1/4, 1/4, 1/2. Target 2 (not padding), eps 0.1: e = 0.05, the target
// keeps 0.85, and CE = 0.85 ln 2 + 0.05 (2 ln 4 + ln 2).
TEST_P(VocabularyLossTest, AgreesWithHandWorkedNumbers) {
  const at::Tensor logits = at::tensor({0.f, 0.f, std::log(2.f)}).view({1, 3});
  const auto loss =
      loss_of_logits(GetParam(), logits, {2}, {.label_smoothing = 0.1, .cross_entropy = {1, 0}});
  EXPECT_NEAR(loss.nll[0], std::log(2.0), 1e-6);
  EXPECT_NEAR(loss.cross_entropy[0], 0.85 * std::log(2.0) + 0.05 * (2 * std::log(4.0) + std::log(2.0)), 1e-6);
  EXPECT_NEAR(loss.total.item<float>(), loss.cross_entropy[0], 1e-6);
}

// p = (1/2, 1/2), q = (3/4, 1/4): KL(p||q) = ln(2/3)/2 + ln(2)/2, KL(q||p) = 3/4 ln(3/2) + 1/4 ln(1/2).
TEST_P(VocabularyLossTest, ConsistencyIsTheMeanOfTheTwoDivergences) {
  const double forward = 0.5 * std::log(2.0 / 3) + 0.5 * std::log(2.0);
  const double backward = 0.75 * std::log(1.5) + 0.25 * std::log(0.5);
  const at::Tensor p = at::tensor({0.f, 0.f}).view({1, 2}), q = at::tensor({std::log(3.f), 0.f}).view({1, 2});
  const VocabularyLossWeights weights{.label_smoothing = 0, .cross_entropy = {0, 0}, .consistency = 2};
  const auto loss = loss_of_logits(GetParam(), at::cat({p, q}), {0}, weights);
  EXPECT_NEAR(loss.consistency, (forward + backward) / 2, 1e-6);
  EXPECT_NEAR(loss.total.item<float>(), forward + backward, 1e-6);
  EXPECT_NEAR(loss_of_logits(GetParam(), at::cat({q, p}), {0}, weights).consistency, loss.consistency, 1e-6);
}

// Conformance check 4.
TEST_P(VocabularyLossTest, AUniformPredictionCostsLogVForAnySmoothing) {
  for (const double eps : {0.0, 0.1, 0.6}) {
    const auto loss = loss_of_logits(GetParam(), at::zeros({2, 50}), {7, 9}, {.label_smoothing = eps});
    EXPECT_NEAR(loss.cross_entropy[0], 2 * std::log(50.0), 1e-4);
  }
  const auto plain =
      loss_of_logits(GetParam(), net::normal_tensor({3, 20}, 1), {4, 5, 6}, {.label_smoothing = 0});
  EXPECT_NEAR(plain.cross_entropy[0], plain.nll[0], 1e-5);
}

// A bias is a column of the output weights whose state is 1.
TEST_P(VocabularyLossTest, ABiasIsAColumnMore) {
  const at::Tensor states = net::normal_tensor({6, 7}, 12), weight = net::normal_tensor({2000, 7}, 13);
  const at::Tensor bias = net::normal_tensor({2000}, 14).requires_grad_(true);
  const std::vector<int32_t> targets = {5, text::kPadId, 1999};
  const VocabularyLossWeights weights{.label_smoothing = 0.1, .cross_entropy = {1, 0.5}, .consistency = 3};
  at::Tensor x = states.clone().requires_grad_(true), w = weight.clone().requires_grad_(true);
  const VocabularyLoss loss = GetParam()(
      {.states = x, .output_weight = w, .targets = targets, .passes = 2, .output_bias = bias}, weights);
  loss.total.backward();
  const Gradients wanted = gradients(GetParam(), at::cat({states, at::ones({6, 1})}, 1),
                                     at::cat({weight, bias.detach().unsqueeze(1)}, 1), targets, weights);
  EXPECT_NEAR(loss.nll[0], wanted.loss.nll[0], 1e-4);
  EXPECT_NEAR(loss.total.item<float>(), wanted.loss.total.item<float>(), 1e-3);
  EXPECT_TRUE(at::allclose(x.grad(), wanted.states.narrow(1, 0, 7), 1e-4, 1e-5));
  EXPECT_TRUE(at::allclose(w.grad(), wanted.weight.narrow(1, 0, 7), 1e-4, 1e-5));
  EXPECT_TRUE(at::allclose(bias.grad(), wanted.weight.select(1, 7), 1e-4, 1e-5));

  const VocabularyLossInputs one_pass{
      .states = states.narrow(0, 0, 3), .output_weight = weight, .targets = targets, .output_bias = bias};
  EXPECT_NEAR(chunked_nll(one_pass), wanted.loss.nll[0], 1e-4);
}

// Conformance check 3: no NaN, padding contributes nothing, both passes get a gradient.
TEST_P(VocabularyLossTest, ExtremeLogitsStayFinite) {
  at::Tensor logits = at::full({2, 40}, -200.f);
  logits[0][3] = 200.f;
  logits[1][8] = 200.f;
  const VocabularyLossWeights weights{.label_smoothing = 0.1, .cross_entropy = {1, 1}, .consistency = 5};
  const Gradients g = gradients(GetParam(), logits, at::eye(40), {3}, weights);
  // CR = 1/2 (400 + 400).
  EXPECT_NEAR(g.loss.consistency, 400, 1e-3);
  EXPECT_TRUE(at::isfinite(g.states).all().item<bool>());
  EXPECT_TRUE(at::isfinite(g.loss.total).item<bool>());
}

TEST_P(VocabularyLossTest, PaddingContributesNothing) {
  const at::Tensor states = net::normal_tensor({8, 6}, 2), weight = net::normal_tensor({30, 6}, 3);
  const VocabularyLossWeights weights{.label_smoothing = 0.1, .cross_entropy = {1, 1}, .consistency = 5};
  const Gradients with = gradients(GetParam(), states, weight, {5, text::kPadId, 9, text::kPadId}, weights);
  const at::Tensor kept = states.index_select(0, at::tensor({0, 2, 4, 6}, at::kLong));
  const Gradients without = gradients(GetParam(), kept, weight, {5, 9}, weights);
  EXPECT_NEAR(with.loss.total.item<float>(), without.loss.total.item<float>(), 1e-4);
  EXPECT_TRUE(at::allclose(with.weight, without.weight, 1e-5, 1e-6));
  for (const int64_t row : {1, 3, 5, 7}) EXPECT_EQ(with.states[row].abs().sum().item<float>(), 0);
  for (const int64_t row : {0, 4}) EXPECT_GT(with.states[row].abs().sum().item<float>(), 0);
}

TEST_P(VocabularyLossTest, GradientsAreThoseOfFiniteDifferences) {
  at::Tensor states = net::normal_tensor({6, 5}, 4).requires_grad_(true);
  at::Tensor weight = net::normal_tensor({17, 5}, 5, 0.5).requires_grad_(true);
  const std::vector<int32_t> targets = {3, 4, 16};
  const VocabularyLossWeights weights{.label_smoothing = 0.1, .cross_entropy = {1, 0.5}, .consistency = 2};
  net::expect_gradients(
      [&] {
        return GetParam()({states, weight, targets, 2}, weights).total * 0.05;
      },
      {states, weight});
}

// The first pass's distribution as a constant: its states get no gradient from the consistency, and the
// output weights only the second pass's share.
TEST_P(VocabularyLossTest, AFixedFirstPassLearnsNothingFromTheConsistency) {
  const at::Tensor states = net::normal_tensor({6, 5}, 4), weight = net::normal_tensor({17, 5}, 5, 0.5);
  const std::vector<int32_t> targets = {3, 4, 16};
  const VocabularyLossWeights weights{
      .label_smoothing = 0, .cross_entropy = {0, 0}, .consistency = 2, .fixed_first = true};
  const Gradients found = gradients(GetParam(), states, weight, targets, weights);
  at::Tensor q = states.narrow(0, 3, 3).clone().requires_grad_(true), w = weight.clone().requires_grad_(true);
  const at::Tensor logp = at::log_softmax(at::matmul(states.narrow(0, 0, 3), weight.t()), -1);
  const at::Tensor logq = at::log_softmax(at::matmul(q, w.t()), -1);
  ((logp.exp() - logq.exp()) * (logp - logq)).sum().backward();  // 2 * 1/2
  EXPECT_EQ(found.states.narrow(0, 0, 3).abs().sum().item<float>(), 0);
  EXPECT_TRUE(at::allclose(found.states.narrow(0, 3, 3), q.grad(), 1e-4, 1e-5));
  EXPECT_TRUE(at::allclose(found.weight, w.grad(), 1e-4, 1e-5));
}

// Weights of positions: doubling a position is the same as having it twice, 0 as not having it.
TEST_P(VocabularyLossTest, PositionsCountByTheirWeights) {
  const at::Tensor one = net::normal_tensor({4, 6}, 12), two = net::normal_tensor({4, 6}, 13);
  const at::Tensor weight = net::normal_tensor({30, 6}, 14);
  const VocabularyLossWeights weights{.label_smoothing = 0.1, .cross_entropy = {1, 0.5}, .consistency = 3};
  const std::vector<float> of_positions = {2, 0, 1, 1};
  const Gradients found =
      gradients(GetParam(), at::cat({one, two}), weight, {5, 9, text::kPadId, 7}, weights, of_positions);
  const at::Tensor rows = at::tensor({0, 0, 3}, at::kLong);
  const Gradients wanted =
      gradients(GetParam(), at::cat({one.index_select(0, rows), two.index_select(0, rows)}), weight,
                {5, 5, 7}, weights);
  EXPECT_NEAR(found.loss.total.item<float>(), wanted.loss.total.item<float>(), 1e-4);
  EXPECT_NEAR(found.loss.cross_entropy[1], wanted.loss.cross_entropy[1], 1e-4);
  EXPECT_NEAR(found.loss.nll[0], wanted.loss.nll[0], 1e-4);
  EXPECT_NEAR(found.loss.consistency, wanted.loss.consistency, 1e-4);
  EXPECT_TRUE(at::allclose(found.weight, wanted.weight, 1e-4, 1e-5));
  EXPECT_TRUE(at::allclose(found.states[0], wanted.states[0] * 2, 1e-4, 1e-5));
  EXPECT_EQ(found.states[1].abs().sum().item<float>(), 0);
}

// t = (3/4, 1/4), p = (1/2, 1/2): KL(t||p) = 3/4 ln(3/2) + 1/4 ln(1/2). With T = 2 the teacher's logits twice
// as large are the same t, and D is four times that; its gradient in the logits is T (p - t).
TEST_P(VocabularyLossTest, DistillationIsTheDivergenceFromTheTeacher) {
  const double divergence = 0.75 * std::log(1.5) + 0.25 * std::log(0.5);
  for (const double t : {1.0, 2.0}) {
    const auto of_teacher = static_cast<float>(t * std::log(3.0));
    const TeacherInputs teacher{
        .states = at::tensor({of_teacher, 0.f}).view({1, 2}), .output_weight = at::eye(2), .output_bias = {}};
    at::Tensor logits = at::zeros({1, 2}).requires_grad_(true);
    const at::Tensor identity = at::eye(2);
    const std::vector<int32_t> targets = {0};
    const VocabularyLoss loss =
        GetParam()({.states = logits, .output_weight = identity, .targets = targets, .teacher = &teacher},
                   {.label_smoothing = 0, .cross_entropy = {0, 0}, .distillation = 3, .temperature = t});
    EXPECT_NEAR(loss.distillation, t * t * divergence, 1e-6);
    EXPECT_NEAR(loss.total.item<float>(), 3 * t * t * divergence, 1e-5);
    EXPECT_NEAR(loss.nll[0], std::log(2.0), 1e-6) << "as without a teacher";
    loss.total.backward();
    EXPECT_NEAR(logits.grad()[0][0].item<float>(), 3 * t * (0.5 - 0.75), 1e-5);
    EXPECT_NEAR(logits.grad()[0][1].item<float>(), 3 * t * (0.5 - 0.25), 1e-5);
  }
}

TEST_P(VocabularyLossTest, ATeachersGradientsAreThoseOfFiniteDifferences) {
  at::Tensor states = net::normal_tensor({3, 5}, 4).requires_grad_(true);
  at::Tensor weight = net::normal_tensor({17, 5}, 5, 0.5).requires_grad_(true);
  const TeacherInputs teacher{.states = net::normal_tensor({3, 4}, 21),
                              .output_weight = net::normal_tensor({17, 4}, 22),
                              .output_bias = net::normal_tensor({17}, 23)};
  const std::vector<int32_t> targets = {3, 4, 16};
  const VocabularyLossWeights weights{
      .label_smoothing = 0.1, .cross_entropy = {0.5, 0}, .distillation = 2, .temperature = 1.5};
  net::expect_gradients(
      [&] {
        return GetParam()(
                   {.states = states, .output_weight = weight, .targets = targets, .teacher = &teacher},
                   weights)
                   .total *
               0.05;
      },
      {states, weight});
}

// The same model as its own teacher has nothing to teach.
TEST_P(VocabularyLossTest, AModelLearnsNothingFromItself) {
  at::Tensor states = net::normal_tensor({4, 6}, 2).requires_grad_(true);
  const at::Tensor weight = net::normal_tensor({50, 6}, 3);
  const TeacherInputs teacher{.states = states.detach(), .output_weight = weight, .output_bias = {}};
  const std::vector<int32_t> targets = {5, text::kPadId, 9, 40};
  const VocabularyLoss loss =
      GetParam()({.states = states, .output_weight = weight, .targets = targets, .teacher = &teacher},
                 {.cross_entropy = {0, 0}, .distillation = 5, .temperature = 3});
  loss.total.backward();
  EXPECT_NEAR(loss.distillation, 0, 1e-5);
  EXPECT_LT(states.grad().abs().max().item<float>(), 1e-5);
}

// The bound: logits are dot products of 24 terms of size about 1 (error 24 eps |x||w| ~ 3e-6 * 24), the
// softmax passes their absolute error on as a relative one.
class VocabularyLossTwins : public OnEachTarget {};
MEGIN_ON_EACH_TARGET(VocabularyLossTwins);

TEST_P(VocabularyLossTwins, ChunkedEqualsPlainOnRandomShapes) {
  struct Case {
    int64_t positions, symbols, passes;
  };
  for (const Case c :
       {Case{1, 5, 1}, Case{37, 123, 1}, Case{37, 123, 2}, Case{700, 1000, 2}, Case{65, 4099, 2}}) {
    const at::Tensor states = net::normal_tensor({c.passes * c.positions, 24}, 6);
    const at::Tensor weight = net::normal_tensor({c.symbols, 24}, 7, 0.3);
    std::vector<int32_t> targets;
    for (int64_t i = 0; i < c.positions; ++i) {
      targets.push_back(static_cast<int32_t>(draw_index(draw_key(8, Purpose::kSampling), i, c.symbols)));
    }
    const VocabularyLossWeights weights{.label_smoothing = 0.1,
                                        .cross_entropy = {1, c.passes == 2 ? 1.0 : 0.0},
                                        .consistency = c.passes == 2 ? 5.0 : 0.0,
                                        .fixed_first = c.symbols == 1000};
    const Gradients plain = gradients(&plain_vocabulary_loss, states, weight, targets, weights);
    const Gradients chunked = gradients(&chunked_vocabulary_loss, states, weight, targets, weights);
    if (c.passes == 1) {
      const double nll = plain_vocabulary_loss({states, weight, targets, 1}, {.label_smoothing = 0}).nll[0];
      EXPECT_NEAR(chunked_nll({states, weight, targets, 1}), nll, 1e-5 * std::abs(nll) + 1e-5);
    }
    const double scale = plain.loss.total.item<float>();
    EXPECT_NEAR(chunked.loss.total.item<float>(), scale, 1e-5 * std::abs(scale) + 1e-5);
    EXPECT_NEAR(chunked.loss.consistency, plain.loss.consistency, 1e-4 * plain.loss.consistency + 1e-5);
    EXPECT_TRUE(at::allclose(chunked.states, plain.states, 1e-3, 1e-4));
    EXPECT_TRUE(at::allclose(chunked.weight, plain.weight, 1e-3, 1e-3));
  }
}

// More rows than a chunk, padding among them, positions with weights, and a tail of symbols beside whole
// vectors.
TEST_P(VocabularyLossTwins, ChunkedEqualsPlainWithATeacher) {
  const int64_t positions = 700, symbols = 4099;
  const at::Tensor weight = net::normal_tensor({symbols, 24}, 7, 0.3);
  const TeacherInputs teacher{.states = net::normal_tensor({positions, 16}, 31),
                              .output_weight = net::normal_tensor({symbols, 16}, 32, 0.3),
                              .output_bias = net::normal_tensor({symbols}, 33)};
  std::vector<int32_t> targets;
  std::vector<float> of_positions;
  for (int64_t i = 0; i < positions; ++i) {
    targets.push_back(i % 9 == 4 ? text::kPadId : static_cast<int32_t>(i * 31 % symbols));
    of_positions.push_back(static_cast<float>(i % 3));
  }
  const VocabularyLossWeights weights{
      .label_smoothing = 0.1, .cross_entropy = {1, 0}, .distillation = 0.7, .temperature = 2};
  const auto run = [&](LossFunction function) {
    at::Tensor x = net::normal_tensor({positions, 24}, 6).requires_grad_(true);
    at::Tensor w = weight.clone().requires_grad_(true);
    Gradients g;
    g.loss = function({.states = x,
                       .output_weight = w,
                       .targets = targets,
                       .position_weights = of_positions,
                       .teacher = &teacher},
                      weights);
    g.loss.total.backward();
    g.states = x.grad();
    g.weight = w.grad();
    return g;
  };
  const Gradients plain = run(&plain_vocabulary_loss), chunked = run(&chunked_vocabulary_loss);
  const double total = plain.loss.total.item<float>();
  EXPECT_NEAR(chunked.loss.total.item<float>(), total, 1e-5 * std::abs(total));
  EXPECT_NEAR(chunked.loss.distillation, plain.loss.distillation, 1e-4 * plain.loss.distillation);
  EXPECT_TRUE(at::allclose(chunked.states, plain.states, 1e-3, 1e-4));
  EXPECT_TRUE(at::allclose(chunked.weight, plain.weight, 1e-3, 1e-3));
}

// Symbol 1 is padding in a text and a class like others here. Two rows of logits (0, 0, ln 2) in both passes,
// of classes 1 and 2: nll ln 4 + ln 2 of each pass and no consistency; and another second pass, as by hand
// above.
TEST(ClassLoss, CountsEveryRowOfBothPasses) {
  const at::Tensor row = at::tensor({0.f, 0.f, std::log(2.f)});
  const std::vector<int32_t> labels = {1, 2};
  const VocabularyLossWeights weights{.label_smoothing = 0, .cross_entropy = {1, 2}, .consistency = 3};
  const auto loss = class_loss({row.repeat({4, 1}), labels, 2}, weights);
  EXPECT_NEAR(loss.nll[0], std::log(8.0), 1e-6);
  EXPECT_NEAR(loss.nll[1], std::log(8.0), 1e-6);
  EXPECT_NEAR(loss.consistency, 0, 1e-6);
  EXPECT_NEAR(loss.total.item<float>(), 3 * std::log(8.0), 1e-5);

  const at::Tensor p = at::tensor({0.f, 0.f}).view({1, 2}), q = at::tensor({std::log(3.f), 0.f}).view({1, 2});
  const auto apart = class_loss({at::cat({p, q}), std::vector<int32_t>{0}, 2}, weights);
  const double forward = 0.5 * std::log(2.0 / 3) + 0.5 * std::log(2.0);
  const double backward = 0.75 * std::log(1.5) + 0.25 * std::log(0.5);
  EXPECT_NEAR(apart.consistency, (forward + backward) / 2, 1e-6);
  EXPECT_NEAR(apart.total.item<float>(), std::log(2.0) + 2 * std::log(4.0 / 3) + 1.5 * (forward + backward),
              1e-5);
}

TEST(ClassLoss, HasTheGradientOfFiniteDifferences) {
  at::Tensor logits = net::normal_tensor({6, 4}, 9).requires_grad_(true);
  const std::vector<int32_t> labels = {0, 3, 1};
  const VocabularyLossWeights weights{.label_smoothing = 0.1, .cross_entropy = {1, 0.5}, .consistency = 2};
  net::expect_gradients([&] { return class_loss({logits, labels, 2}, weights).total; }, {logits});
}

// By hand at T = 2: the teacher's (2 ln 3, 0) and (0, 0) are (3/4, 1/4) and (1/2, 1/2), the student's (0, 0)
// and (0, 2 ln 3) are (1/2, 1/2) and (1/4, 3/4), so the divergences add up to
//   3/4 ln 3/2 + 1/4 ln 1/2 + 1/2 ln 2 + 1/2 ln 2/3 = ln(3) / 4,
// and the gradient is T (p - t).
TEST(ClassLoss, HasTheDivergenceFromATeacher) {
  const float two_ln3 = 2 * std::log(3.f);
  const at::Tensor teacher = at::tensor({two_ln3, 0.f, 0.f, 0.f}).view({2, 2}).requires_grad_(true);
  const at::Tensor logits = at::tensor({0.f, 0.f, 0.f, two_ln3}).view({2, 2}).requires_grad_(true);
  const std::vector<int32_t> labels = {0, 1};
  const auto loss =
      class_loss({.logits = logits, .labels = labels, .teacher = teacher},
                 {.label_smoothing = 0, .cross_entropy = {0, 0}, .distillation = 0.5, .temperature = 2});
  EXPECT_NEAR(loss.distillation, std::log(3.0), 1e-6);
  EXPECT_NEAR(loss.total.item<float>(), 0.5 * std::log(3.0), 1e-6);
  EXPECT_NEAR(loss.nll[0], std::log(2.0) + std::log(10.0 / 9), 1e-6) << "without the temperature";
  loss.total.backward();
  EXPECT_TRUE(
      at::allclose(logits.grad(), at::tensor({-0.25f, 0.25f, -0.25f, 0.25f}).view({2, 2}), 1e-5, 1e-6));
  EXPECT_FALSE(teacher.grad().defined());
}

TEST(ClassLoss, WithATeacherHasTheGradientOfFiniteDifferences) {
  at::Tensor logits = net::normal_tensor({3, 4}, 9).requires_grad_(true);
  const at::Tensor teacher = net::normal_tensor({3, 4}, 10);
  const std::vector<int32_t> labels = {0, 3, 1};
  const VocabularyLossWeights weights{
      .label_smoothing = 0.1, .cross_entropy = {0.5, 0}, .distillation = 0.7, .temperature = 3};
  net::expect_gradients(
      [&] { return class_loss({.logits = logits, .labels = labels, .teacher = teacher}, weights).total; },
      {logits});
}

}  // namespace
}  // namespace megin::objective
