#include "text/split.h"

#include <map>

#include "text/test_support.h"

namespace megin::text {
namespace {

std::string source(uint64_t i) {
  return "Sentence number " + std::to_string(i);
}

std::map<Split, uint64_t> sizes(const SplitOptions& options, uint64_t sources) {
  SplitPlanner planner(options);
  for (uint64_t i = 0; i < sources; ++i) planner.add(source(i));
  const Splitter splitter = planner.finish();
  std::map<Split, uint64_t> counts;
  for (uint64_t i = 0; i < sources; ++i) ++counts[splitter.split_of(source(i))];
  return counts;
}

TEST(Split, TakesExactCounts) {
  auto counts = sizes({.seed = 1, .valid = {.count = 30}, .test = {.count = 50}}, 1000);
  EXPECT_EQ(counts[Split::kTest], 50u);
  EXPECT_EQ(counts[Split::kValid], 30u);
  EXPECT_EQ(counts[Split::kTrain], 920u);
}

TEST(Split, TakesFractionsApproximately) {
  auto counts = sizes({.seed = 1, .valid = {.fraction = 0.1}, .test = {.fraction = 0.2}}, 20000);
  // Binomial; six standard deviations.
  EXPECT_NEAR(static_cast<double>(counts[Split::kValid]), 2000, 255);
  EXPECT_NEAR(static_cast<double>(counts[Split::kTest]), 4000, 340);
}

TEST(Split, MixesACountAndAFraction) {
  auto counts = sizes({.seed = 1, .valid = {.count = 100}, .test = {.fraction = 0.2}}, 20000);
  EXPECT_EQ(counts[Split::kValid], 100u);
  EXPECT_NEAR(static_cast<double>(counts[Split::kTest]), 4000, 340);
  counts = sizes({.seed = 1, .valid = {.fraction = 0.2}, .test = {.count = 100}}, 20000);
  EXPECT_EQ(counts[Split::kTest], 100u);
  EXPECT_NEAR(static_cast<double>(counts[Split::kValid]), 4000, 340);
}

TEST(Split, PutsEverythingIntoTrainWhenNothingIsAskedFor) {
  auto counts = sizes({}, 100);
  EXPECT_EQ(counts[Split::kTrain], 100u);
}

TEST(Split, KeepsASourceInOneSet) {
  SplitPlanner planner({.seed = 3, .valid = {.count = 200}, .test = {.count = 200}});
  for (uint64_t i = 0; i < 500; ++i) {
    planner.add(source(i));
    planner.add("  SENTENCE number\t" + std::to_string(i));  // the same sentence
  }
  const Splitter splitter = planner.finish();
  uint64_t test = 0;
  for (uint64_t i = 0; i < 500; ++i) {
    const Split split = splitter.split_of(source(i));
    EXPECT_EQ(split, splitter.split_of("  SENTENCE number\t" + std::to_string(i)));
    test += split == Split::kTest ? 1 : 0;
  }
  EXPECT_EQ(test, 200u);
}

TEST(Split, DoesNotDependOnOrderButOnTheSeed) {
  const SplitOptions options = {.seed = 1, .valid = {.count = 30}, .test = {.count = 50}};
  SplitPlanner forward(options);
  SplitPlanner backward(options);
  SplitPlanner other({.seed = 2, .valid = {.count = 30}, .test = {.count = 50}});
  for (uint64_t i = 0; i < 1000; ++i) {
    forward.add(source(i));
    backward.add(source(999 - i));
    other.add(source(i));
  }
  uint64_t moved = 0;
  for (uint64_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(forward.finish().split_of(source(i)), backward.finish().split_of(source(i)));
    moved += forward.finish().split_of(source(i)) != other.finish().split_of(source(i)) ? 1 : 0;
  }
  EXPECT_GT(moved, 50u);
}

TEST(Split, RefusesWhatLeavesNothingToTrainOn) {
  const std::string message =
      error_of([] { sizes({.seed = 1, .valid = {.count = 5}, .test = {.count = 5}}, 10); });
  EXPECT_TRUE(
      contains(message,
               "wanted 5 sources for the test set, 5 for the validation set and at least one to train "
               "on, found 10"))
      << message;
  EXPECT_EQ(sizes({.seed = 1, .valid = {.count = 5}, .test = {.count = 5}}, 11)[Split::kTrain], 1u);
  EXPECT_THROW(SplitPlanner({.seed = 1, .valid = {.fraction = 0.5}, .test = {.fraction = 0.5}}), UsageError);
  EXPECT_THROW(SplitPlanner({.seed = 1, .valid = {.fraction = -0.1}, .test = {}}), UsageError);
  EXPECT_THROW(SplitPlanner({.seed = 1, .valid = {.count = 1, .fraction = 0.1}, .test = {}}), UsageError);
}

}  // namespace
}  // namespace megin::text
