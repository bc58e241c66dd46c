#include "config/nearest.h"

#include <gtest/gtest.h>

#include <vector>

namespace megin::config {
namespace {

TEST(EditDistanceTest, CountsInsertionsDeletionsReplacementsAndSwaps) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("abc", ""), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("trian", "train"), 1u);
  EXPECT_EQ(edit_distance("drop_out", "dropout"), 1u);
}

TEST(NearestTest, FindsWhatWasMeant) {
  const std::vector<std::string> choices = {"train", "translate", "score", "info"};
  EXPECT_EQ(nearest("trian", choices), "train");
  EXPECT_EQ(nearest("tranlsate", choices), "translate");
  EXPECT_EQ(nearest("scor", choices), "score");
}

TEST(NearestTest, SaysNothingWhenNothingIsNear) {
  const std::vector<std::string> choices = {"train", "translate"};
  EXPECT_EQ(nearest("bake", choices), "");
  EXPECT_EQ(did_you_mean("bake", choices), "");
  EXPECT_EQ(did_you_mean("trane", choices), "; did you mean 'train'?");
  EXPECT_EQ(nearest("x", {}), "");
}

}  // namespace
}  // namespace megin::config
