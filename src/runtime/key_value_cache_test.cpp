#include "runtime/key_value_cache.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace megin::runtime {
namespace {

// Rows of a cache hold, per position, the id of the token that was written there.
class CacheTest : public testing::Test {
 protected:
  void append(const std::vector<float>& ids) {
    cache_.extend();
    const int64_t last = cache_.length() - 1;
    for (int64_t row = 0; row < cache_.rows(); ++row) {
      for (int64_t layer = 0; layer < 2; ++layer) {
        const std::vector<float> key(2, ids[row]), value(2, ids[row] + 0.25F * static_cast<float>(layer));
        store_position(kShape, key.data(), value.data(), last % kBlockPositions,
                       cache_.block(row, layer, last / kBlockPositions));
      }
    }
  }

  std::vector<float> past(int64_t row, int64_t layer = 0) {
    std::vector<float> ids;
    for (int64_t t = 0; t < cache_.length(); ++t) {
      const float* block = cache_.block(row, layer, t / kBlockPositions);
      ids.push_back(block[2 * kBlockPositions + t % kBlockPositions * 2]);
    }
    return ids;
  }

  static constexpr AttentionShape kShape{1, 2};
  KeyValueCache cache_{kShape, 2, 3, 64};
};

TEST_F(CacheTest, RowsThatShareAPastGoOnApart) {
  append({1, 2, 3});
  cache_.reorder(std::vector<int64_t>{1, 1, 0});
  append({4, 5, 6});
  EXPECT_EQ(past(0), (std::vector<float>{2, 4}));
  EXPECT_EQ(past(1), (std::vector<float>{2, 5}));
  EXPECT_EQ(past(2), (std::vector<float>{1, 6}));
  EXPECT_EQ(past(1, 1), (std::vector<float>{2.25F, 5.25F}));
}

TEST_F(CacheTest, RowsMayDropOutAndComeBack) {
  append({1, 2, 3});
  cache_.reorder(std::vector<int64_t>{2});
  append({7});
  EXPECT_EQ(past(0), (std::vector<float>{3, 7}));
  cache_.reorder(std::vector<int64_t>{0, 0, 0, 0});
  append({1, 2, 3, 4});
  EXPECT_EQ(past(3), (std::vector<float>{3, 7, 4}));
}

TEST_F(CacheTest, RandomReorderingsEqualPlainCopies) {
  std::mt19937 generator(3);
  std::vector<std::vector<float>> plain(3);
  for (int step = 0; step < 60; ++step) {
    std::vector<float> ids;
    for (auto& row : plain) {
      ids.push_back(static_cast<float>(generator() % 1000));
      row.push_back(ids.back());
    }
    append(ids);
    std::vector<int64_t> from;
    std::vector<std::vector<float>> next;
    for (size_t i = 0; i < 1 + generator() % 6; ++i) {
      from.push_back(static_cast<int64_t>(generator() % plain.size()));
      next.push_back(plain[static_cast<size_t>(from.back())]);
    }
    cache_.reorder(from);
    plain = next;
    for (size_t row = 0; row < plain.size(); ++row) ASSERT_EQ(past(static_cast<int64_t>(row)), plain[row]);
  }
}

}  // namespace
}  // namespace megin::runtime
