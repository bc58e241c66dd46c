#include "optim/adam.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/random.h"

namespace megin::optim {
namespace {

using config::OptimizerConfig;
using config::OptimizerKind;

// Values with all that belongs to them.
struct Parameters {
  explicit Parameters(std::vector<float> start)
      : values(std::move(start)), gradients(values.size()), first(values.size()), second(values.size()) {}
  AdamMemory memory() { return {values, gradients, first, second, average}; }
  bool operator==(const Parameters&) const = default;

  std::vector<float> values, gradients, first, second, average;
};

constexpr OptimizerConfig kByHand{
    .kind = OptimizerKind::kAdamW, .beta1 = 0.5, .beta2 = 0.75, .epsilon = 0.5, .weight_decay = 0.5};

// With a gradient that is always 1, m = 1 - b1^t and v = 1 - b2^t, and a step is lr s / (s + eps) where s =
// sqrt(1 - b2^t): s = 0.5, 0.66143783, 0.76034534. The decay takes lr wd = 0.05 of the value:
//   2 - 0.1 - 0.1 * 0.5 = 1.85;  1.85 - 0.0925 - 0.1 * 0.56949897 = 1.70055010;
//   1.70055010 - 0.08502751 - 0.1 * 0.60328337 = 1.55519426
TEST(Adam, AdamWThreeStepsByHand) {
  ThreadPool pool(1);
  Parameters p({2.0F});
  std::vector<Segment> segments{{.offset = 0, .size = 1}};
  const std::array<float, 3> expected{1.85F, 1.70055010F, 1.55519426F};
  for (const float value : expected) {
    p.gradients = {1.0F};
    Adam(kByHand).update(p.memory(), segments, {.learning_rate = 0.1}, pool);
    EXPECT_FLOAT_EQ(p.values[0], value);
  }
  EXPECT_FLOAT_EQ(p.first[0], 0.875F);
  EXPECT_FLOAT_EQ(p.second[0], 0.578125F);
  EXPECT_EQ(segments[0].steps, 3);
}

// The first step of adam: g = 0.25 * 4 + 0.5 * 2 = 2, m = 1, v = 1, step = 0.1 * 0.5 / 0.5: p = 2 - 0.1
// / 1.5.
TEST(Adam, AdamAddsTheDecayToTheScaledGradient) {
  ThreadPool pool(1);
  Parameters p({2.0F});
  p.gradients = {4.0F};
  OptimizerConfig config = kByHand;
  config.kind = OptimizerKind::kAdam;
  std::vector<Segment> segments{{.offset = 0, .size = 1}};
  Adam(config).update(p.memory(), segments, {.learning_rate = 0.1, .gradient_scale = 0.25}, pool);
  EXPECT_FLOAT_EQ(p.first[0], 1.0F);
  EXPECT_FLOAT_EQ(p.second[0], 1.0F);
  EXPECT_FLOAT_EQ(p.values[0], 1.93333333F);
  EXPECT_EQ(p.gradients[0], 4.0F);
}

OptimizerKind kind_named(const std::string& name) {
  return name == "adam"    ? OptimizerKind::kAdam
         : name == "adamw" ? OptimizerKind::kAdamW
                           : OptimizerKind::kRAdam;
}

// Each line: kind, weight decay, step from 0, five values after it (test_files/torch_values.py made them).
TEST(Adam, FollowsTorchsTrajectories) {
  std::ifstream file(MEGIN_TEST_FILES "/torch_values.txt");
  ThreadPool pool(1);
  Parameters p({});
  std::vector<Segment> segments;
  std::string name;
  double decay = 0;
  int step = 0, lines = 0;
  while (file >> name >> decay >> step) {
    ++lines;
    if (step == 0) {
      p = Parameters({0.5F, -1.25F, 2.0F, 0.001F, -0.75F});
      segments = {{.offset = 0, .size = 5}};
    }
    for (size_t i = 0; i < 5; ++i) {
      const auto x = static_cast<double>(i);
      p.gradients[i] = static_cast<float>(std::sin(1.7 * x + 0.9 * step) * std::pow(10.0, x - 3));
    }
    const Adam adam(
        {.kind = kind_named(name), .beta1 = 0.9, .beta2 = 0.98, .epsilon = 1e-3, .weight_decay = decay});
    adam.update(p.memory(), segments, {.learning_rate = 0.01}, pool);
    for (size_t i = 0; i < 5; ++i) {
      double expected = 0;
      file >> expected;
      EXPECT_NEAR(p.values[i], expected, 1e-6)
          << name << " decay " << decay << " step " << step << " value " << i;
    }
  }
  EXPECT_EQ(lines, 48);
}

std::vector<float> normal(size_t size, uint64_t seed) {
  std::vector<float> values(size);
  for (size_t i = 0; i < size; ++i)
    values[i] = static_cast<float>(draw_normal(draw_key(seed, Purpose::kMix), i));
  return values;
}

Parameters after_three_updates(int threads) {
  ThreadPool pool(threads);
  Parameters p(normal(100003, 1));
  p.average = p.values;
  std::vector<Segment> segments{
      {.offset = 0, .size = 70001}, {.offset = 70001, .size = 2}, {.offset = 70003, .size = 30000}};
  for (uint64_t n = 0; n < 3; ++n) {
    p.gradients = normal(p.values.size(), 10 + n);
    segments[2].active = n != 1;
    Adam({.weight_decay = 0.1})
        .update(p.memory(), segments, {.learning_rate = 1e-3, .average_decay = 0.9, .zero_gradients = true},
                pool);
  }
  return p;
}

TEST(Adam, GivesTheSameBytesAtAnyThreadCount) {
  const Parameters expected = after_three_updates(1);
  for (const int threads : {2, 3, 7}) EXPECT_EQ(after_three_updates(threads), expected) << threads;
}

TEST(Adam, AnInactiveSegmentKeepsValuesMomentsGradientsAndItsOwnCount) {
  ThreadPool pool(1);
  Parameters p({2.0F, 2.0F, 7.0F});
  std::vector<Segment> segments{{.offset = 0, .size = 1}, {.offset = 1, .size = 1}};
  for (const bool active : {true, false, true}) {
    p.gradients = {1.0F, 1.0F, 1.0F};
    segments[1].active = active;
    Adam(kByHand).update(p.memory(), segments, {.learning_rate = 0.1, .zero_gradients = true}, pool);
    EXPECT_EQ(p.gradients, (std::vector<float>{0.0F, active ? 0.0F : 1.0F, 1.0F}));
  }
  // The second one stands where two steps lead (AdamWThreeStepsByHand); what is in no segment is not touched.
  EXPECT_FLOAT_EQ(p.values[0], 1.55519426F);
  EXPECT_FLOAT_EQ(p.values[1], 1.70055010F);
  EXPECT_EQ(p.values[2], 7.0F);
  EXPECT_EQ(segments[0].steps, 3);
  EXPECT_EQ(segments[1].steps, 2);
}

// From 2 the value goes to 1.85 and stands there: the average goes from 2 half of the way, twice.
TEST(Adam, TheMovingAverageFollowsInactiveSegmentsToo) {
  ThreadPool pool(1);
  Parameters p({2.0F});
  p.average = p.values;
  p.gradients = {1.0F};
  std::vector<Segment> segments{{.offset = 0, .size = 1}};
  const AdamStep step{.learning_rate = 0.1, .average_decay = 0.5};
  Adam(kByHand).update(p.memory(), segments, step, pool);
  EXPECT_FLOAT_EQ(p.average[0], 1.925F);
  segments[0].active = false;
  Adam(kByHand).update(p.memory(), segments, step, pool);
  EXPECT_FLOAT_EQ(p.values[0], 1.85F);
  EXPECT_FLOAT_EQ(p.average[0], 1.8875F);
}

TEST(Adam, MomentsThatDecayBelowTheNormalNumbersBecomeZero) {
  ThreadPool pool(1);
  Parameters p({1.0F});
  p.first = {std::numeric_limits<float>::min()};
  p.second = {std::numeric_limits<float>::min()};
  std::vector<Segment> segments{{.offset = 0, .size = 1, .steps = 10}};
  Adam({.weight_decay = 0.0}).update(p.memory(), segments, {.learning_rate = 0.1}, pool);
  EXPECT_EQ(p.first[0], 0.0F);
  EXPECT_EQ(p.second[0], 0.0F);
  // And only there: this thread's arithmetic is as it was.
  volatile float smallest = std::numeric_limits<float>::min();
  EXPECT_GT(smallest / 2, 0.0F);
}

TEST(Adam, RefusesMemoryAndSegmentsThatDoNotFit) {
  ThreadPool pool(1);
  Parameters p({1.0F, 2.0F});
  const Adam adam{OptimizerConfig{}};
  std::vector<Segment> outside{{.offset = 1, .size = 2}};
  EXPECT_THROW(adam.update(p.memory(), outside, {}, pool), UsageError);
  p.first.pop_back();
  std::vector<Segment> whole{{.offset = 0, .size = 2}};
  EXPECT_THROW(adam.update(p.memory(), whole, {}, pool), UsageError);
}

}  // namespace
}  // namespace megin::optim
