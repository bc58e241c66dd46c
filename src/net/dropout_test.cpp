#include "net/dropout.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/highway_test_targets.h"

namespace megin::net {
namespace {

DropoutMask mask_with(double probability, std::array<uint64_t, 2> keys, int64_t passes = 1) {
  return {.probability = probability, .passes = passes, .keys = keys};
}

class Dropout : public OnEachTarget {};
MEGIN_ON_EACH_TARGET(Dropout);

TEST_P(Dropout, DropsWithItsProbabilityAndScalesTheRest) {
  constexpr int64_t kSize = 100000;
  const at::Tensor y = dropout(at::ones({kSize}), mask_with(0.3, {17, 0}));
  const double dropped = y.eq(0).sum().item<int64_t>();
  // Four standard deviations of the binomial.
  EXPECT_NEAR(dropped / kSize, 0.3, 4 * std::sqrt(0.3 * 0.7 / kSize));
  // The probability is the next multiple of 2^-16: 19661 of them.
  EXPECT_NEAR(y.max().item<float>(), 1.0 / (1.0 - 19661.0 / 65536.0), 1e-6);
}

TEST_P(Dropout, NeighboursAreIndependent) {
  constexpr int64_t kSize = 100000;
  const at::Tensor kept = dropout(at::ones({kSize + 16}), mask_with(0.5, {3, 0})).ne(0);
  for (const int64_t distance : {1, 16}) {  // 16: the two halves of one hash
    const double both =
        at::logical_and(kept.narrow(0, 0, kSize), kept.narrow(0, distance, kSize)).sum().item<int64_t>();
    EXPECT_NEAR(both / kSize, 0.25, 4 * std::sqrt(0.25 * 0.75 / kSize));
  }
}

// Spans may begin and end anywhere: an element's draw belongs to its number.
TEST_P(Dropout, ASpanCutAnywhereHasTheSameMask) {
  constexpr int64_t kSize = 200;
  const std::vector<float> ones(kSize, 1.0f);
  std::vector<float> whole(kSize), parts(kSize);
  const DropoutSpan span = dropout_span_for(0.4, 0x123456789ABCDEFULL);
  dropout_span(ones.data(), whole.data(), kSize, span);
  for (const int64_t cut : {1, 15, 16, 17, 32, 33, 100, 199}) {
    DropoutSpan rest = span;
    rest.first = cut;
    dropout_span(ones.data(), parts.data(), cut, span);
    dropout_span(ones.data() + cut, parts.data() + cut, kSize - cut, rest);
    EXPECT_EQ(parts, whole) << cut;
  }
}

TEST_P(Dropout, GradientHasTheMaskOfTheForwardPass) {
  at::Tensor x = at::ones({64, 8}).requires_grad_(true);
  const at::Tensor y = dropout(x, mask_with(0.4, {5, 0}));
  y.sum().backward();
  EXPECT_TRUE(at::equal(x.grad(), y.detach()));
}

TEST_P(Dropout, PassesOfOneBatchHaveTheMasksOfSeparateCalls) {
  const at::Tensor x = at::ones({6, 5});
  const at::Tensor both = dropout(x, mask_with(0.5, {1, 2}, 2));
  EXPECT_TRUE(at::equal(both.narrow(0, 0, 3), dropout(x.narrow(0, 0, 3), mask_with(0.5, {1, 0}))));
  EXPECT_TRUE(at::equal(both.narrow(0, 3, 3), dropout(x.narrow(0, 3, 3), mask_with(0.5, {2, 0}))));
  EXPECT_FALSE(at::equal(both.narrow(0, 0, 3), both.narrow(0, 3, 3)));
}

TEST_P(Dropout, MasksOfSharedDropoutCoincide) {
  ForwardContext context{.training = true, .passes = 2, .shared_dropout = true};
  const DropoutMask shared = dropout_mask(context, 0.1, {});
  EXPECT_EQ(shared.keys[0], shared.keys[1]);
  context.shared_dropout = false;
  const DropoutMask own = dropout_mask(context, 0.1, {});
  EXPECT_NE(own.keys[0], own.keys[1]);
  context.training = false;
  EXPECT_EQ(dropout_mask(context, 0.1, {}).probability, 0.0);
}

// A run goes on, with the same draws, on a machine with other instructions.
TEST(DropoutMask, IsTheSameOnEveryInstructionSet) {
  constexpr int64_t kSize = 1000;
  const std::vector<float> ones(kSize, 1.0f);
  std::vector<std::vector<float>> found;
  on_each_target([&] {
    DropoutSpan span = dropout_span_for(0.3, 1234567);
    span.first = 5;
    found.emplace_back(kSize);
    dropout_span(ones.data(), found.back().data(), kSize, span);
  });
  ASSERT_GE(found.size(), 2u);
  for (const auto& one : found) EXPECT_EQ(one, found.front());
}

}  // namespace
}  // namespace megin::net
