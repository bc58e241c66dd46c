#include "report/run_names.h"

#include <gtest/gtest.h>

namespace megin::report {
namespace {

using Names = std::vector<std::string>;

TEST(RunNames, AreAsShortAsTellsThemApart) {
  EXPECT_EQ(run_names({"runs/a/thor", "runs/a/dense/"}), Names({"thor", "dense"}));
  EXPECT_EQ(run_names({"runs/a/thor", "runs/b/thor", "runs/b/dense"}),
            Names({"a/thor", "b/thor", "b/dense"}));
  EXPECT_EQ(run_names({"runs/../runs/./thor"}), Names({"thor"}));
  EXPECT_EQ(run_names({}), Names());
}

TEST(RunNames, OfOneFolderTwiceAreAlike) {
  const Names names = run_names({"runs/thor", "runs/thor"});
  ASSERT_EQ(names.size(), 2u);
  EXPECT_EQ(names[0], names[1]);
}

}  // namespace
}  // namespace megin::report
