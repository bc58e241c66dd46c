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

// More than a few are found another way, which must order alike.
TEST(Highest, ManyAreOrderedAsFewAre) {
  std::vector<float> values;
  for (int i = 0; i < 50; ++i) values.push_back(static_cast<float>(i * 37 % 11));
  values[3] = values[20] = std::nanf("");
  std::vector<int64_t> all(50), few(8);
  choose_highest(values, all);
  choose_highest(values, few);
  EXPECT_TRUE(std::equal(few.begin(), few.end(), all.begin()));
  EXPECT_EQ(all[48], 3);
  EXPECT_EQ(all[49], 20);
  for (size_t i = 1; i < 48; ++i) {
    const float before = values[static_cast<size_t>(all[i - 1])], after = values[static_cast<size_t>(all[i])];
    EXPECT_TRUE(before > after || (before == after && all[i - 1] < all[i])) << i;
  }
}

}  // namespace
}  // namespace megin::matrix
