#include "runtime/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "base/highway_test_targets.h"

namespace megin::runtime {
namespace {

// Keys and values of `length` positions, in rows and in blocks.
struct Past {
  Past(const AttentionShape& shape, int64_t length) : keys(length), values(length) {
    std::mt19937 generator(5);
    std::normal_distribution<float> normal;
    for (int64_t b = 0; b < blocks_for(length); ++b) blocks.emplace_back(shape.block_floats() + 16);
    for (int64_t t = 0; t < length; ++t) {
      for (auto* row : {&keys[t], &values[t]}) {
        row->resize(shape.width());
        for (float& v : *row) v = normal(generator);
      }
      store_position(shape, keys[t].data(), values[t].data(), t % kBlockPositions,
                     aligned(t / kBlockPositions));
    }
    for (size_t b = 0; b < blocks.size(); ++b) pointers.push_back(aligned(static_cast<int64_t>(b)));
  }
  // Kernels may rely on blocks being aligned to 64 bytes.
  float* aligned(int64_t b) {
    const auto address = reinterpret_cast<uintptr_t>(blocks[b].data());
    return reinterpret_cast<float*>((address + 63) / 64 * 64);
  }
  std::vector<std::vector<float>> keys, values, blocks;
  std::vector<const float*> pointers;
};

TEST(Attention, WeighsTwoPositionsByHand) {
  on_each_target([] {
    // One head of width 4: factor 1/2. Scores 0 and 2 ln 3 / 2 = ln 3: weights 1/4 and 3/4.
    const AttentionShape shape{1, 4};
    Past past(shape, 2);
    const std::vector<float> zero(4, 0.0F), key = {2 * std::log(3.0F), 0, 0, 0};
    const std::vector<float> first = {4, 0, 8, 0}, second = {0, 4, 8, -4};
    store_position(shape, zero.data(), first.data(), 0, past.aligned(0));
    store_position(shape, key.data(), second.data(), 1, past.aligned(0));
    const std::vector<float> query = {1, 5, 6, 7};
    std::vector<float> scores(16), context(4);
    attend(shape, {query.data(), past.pointers, 2, scores.data(), context.data()});
    const std::vector<float> wanted = {1, 3, 8, -3};
    for (size_t c = 0; c < 4; ++c) EXPECT_NEAR(context[c], wanted[c], 1e-5);
  });
}

TEST(Attention, EqualsPlainLoopsForAllShapesAndLengths) {
  const std::vector<AttentionShape> shapes = {{1, 2}, {2, 3}, {3, 8}, {2, 20}, {4, 32}, {1, 128}, {2, 45}};
  on_each_target([&] {
    for (const AttentionShape& shape : shapes) {
      for (const int64_t length : {1, 2, 15, 16, 17, 33, 100}) {
        Past past(shape, length);
        const std::vector<float> query = past.values[0];
        std::vector<float> scores(kBlockPositions * blocks_for(length)), context(shape.width());
        attend(shape, {query.data(), past.pointers, length, scores.data(), context.data()});
        for (int64_t c = 0; c < shape.width(); ++c) {
          const int64_t first = c / shape.head_width * shape.head_width;
          double total = 0, sum = 0;
          for (int64_t t = 0; t < length; ++t) {
            double score = 0;
            for (int64_t i = first; i < first + shape.head_width; ++i) score += query[i] * past.keys[t][i];
            const double p = std::exp(score / std::sqrt(static_cast<double>(shape.head_width)));
            total += p;
            sum += p * past.values[t][c];
          }
          ASSERT_NEAR(context[c], sum / total, 2e-5) << shape.head_width << " " << length << " " << c;
        }
      }
    }
  });
}

TEST(Attention, AddsWhatPositionsHaveToUnscaledScores) {
  on_each_target([] {
    // Scores 1 and 1; the second head's positions add 0 and ln 3: weights 1/4 and 3/4, without its scale 1/2.
    const AttentionShape shape{.heads = 2, .head_width = 4, .scaled = false};
    Past past(shape, 2);
    const std::vector<float> key = {1, 0, 0, 0, 1, 0, 0, 0};
    const std::vector<float> first = {0, 0, 0, 0, 4, 0, 8, 0}, second = {4, 0, 0, 0, 0, 4, 8, -4};
    store_position(shape, key.data(), first.data(), 0, past.aligned(0));
    store_position(shape, key.data(), second.data(), 1, past.aligned(0));
    const std::vector<float> query = {1, 5, 6, 7, 1, 5, 6, 7};
    const std::vector<float> bias = {7, 7, -9, 0, std::log(3.0F), -9};  // of a head three numbers
    std::vector<float> scores(16), context(8);
    AttentionCall call{query.data(), past.pointers, 2, scores.data(), context.data()};
    call.positions = {bias.data(), 3};
    attend(shape, call);
    const std::vector<float> wanted = {2, 0, 0, 0, 1, 3, 8, -3};
    for (size_t c = 0; c < 8; ++c) EXPECT_NEAR(context[c], wanted[c], 1e-5);
    // And without them the scores are the products: 2 ln 3 apart here.
    const std::vector<float> zero(8), far = {2 * std::log(3.0F), 0, 0, 0, 2 * std::log(3.0F), 0, 0, 0};
    store_position(shape, zero.data(), first.data(), 0, past.aligned(0));
    store_position(shape, far.data(), second.data(), 1, past.aligned(0));
    call.positions = {};
    attend(shape, call);
    EXPECT_NEAR(context[0], 4 * 0.9, 1e-5);
    EXPECT_NEAR(context[4], 4 * 0.1, 1e-5);
  });
}

}  // namespace
}  // namespace megin::runtime
