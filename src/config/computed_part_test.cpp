#include "config/computed_part.h"

#include <gtest/gtest.h>

namespace megin::config {
namespace {

TEST(ComputedPart, LeavesOutHowAModelWasMade) {
  const ModelConfig plain = computed_part({});
  ModelConfig other;
  other.preset = "base";
  other.initialisation = Initialisation::kNormal;
  other.dropout = other.attention_dropout = other.activation_dropout = other.concrete_dropout = 0.25;
  other.group_dropout = {.groups = 4, .rate = 0.25};
  EXPECT_EQ(computed_part(other), plain);
  other.width = 64;
  EXPECT_NE(computed_part(other), plain);
}

TEST(ComputedPart, LeavesOutWhereExpertsWouldBe) {
  ModelConfig dense;
  dense.experts.every = 1;
  dense.experts.feed_forward = 16;
  EXPECT_EQ(computed_part(dense), computed_part({}));
  // One inserted expert is a layer, whose place counts; and so does that of several.
  ModelConfig inserted = dense;
  inserted.experts.body = ExpertBody::kInsert;
  EXPECT_EQ(computed_part(inserted).experts, inserted.experts);
  dense.experts.count = 2;
  EXPECT_EQ(computed_part(dense).experts, dense.experts);
}

TEST(ComputedPart, AWidthOfHeadsThatIsTheUsualOneIsNone) {
  ModelConfig model;  // width 128, 4 heads
  model.head_width = 32;
  EXPECT_EQ(computed_part(model), computed_part({}));
  model.head_width = 16;
  EXPECT_EQ(computed_part(model).head_width, 16);
}

}  // namespace
}  // namespace megin::config
