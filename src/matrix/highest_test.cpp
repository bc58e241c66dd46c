#include "matrix/highest.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace megin::matrix {
namespace {

std::vector<int64_t> highest(std::vector<float> values, size_t count) {
  std::vector<int64_t> chosen(count);
  choose_highest(values, chosen);
  return chosen;
}

TEST(ChooseHighest, OrdersByValueThenByIndex) {
  EXPECT_EQ(highest({0.5f, -1, 3, 3, 2}, 3), (std::vector<int64_t>{2, 3, 4}));
  EXPECT_EQ(highest({7, 7, 7}, 3), (std::vector<int64_t>{0, 1, 2}));
  EXPECT_EQ(highest({-2, -1}, 1), (std::vector<int64_t>{1}));
  EXPECT_EQ(highest({-INFINITY, -INFINITY}, 2), (std::vector<int64_t>{0, 1}));
}

TEST(ChooseHighest, TakesWhatIsNoNumberLast) {
  EXPECT_EQ(highest({NAN, -5, NAN, 1}, 4), (std::vector<int64_t>{3, 1, 0, 2}));
}

}  // namespace
}  // namespace megin::matrix
